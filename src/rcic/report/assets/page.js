"use strict";
// The page: controls, drawing, theme, print. charts.js draws the charts.

const PRINT_WIDTH = 680; // CSS pixels between the margins of A4
const root = document.documentElement;
const figures = [];

class Figure {
  constructor(box, encoded) {
    this.box = box;
    this.table = new Table(encoded);
    this.options = encoded.options;
    this.kind = CHARTS[encoded.kind] ?? {};
    this.drawing = box.querySelector(".drawing");
    this.numbers = box.querySelector(".numbers");
    this.rows = this.table.all();
    this.picked = {};
    for (const pick of this.kind.picks?.(this.table, this.options) ?? []) this.addPick(pick);
    this.numbers.addEventListener("toggle", () => this.showNumbers());
    const link = box.querySelector(".csv");
    link.addEventListener("click", () => {
      if (!link.href.startsWith("blob:")) link.href = URL.createObjectURL(new Blob([csvOf(this.table)], { type: "text/csv" }));
    });
  }

  addPick(pick) {
    if (pick.many) return this.addChoices(pick);
    this.picked[pick.name] = pick.value ?? pick.values[0]?.value;
    if (pick.values.length < 2) return undefined;
    const label = element("label", pick.label), select = element("select");
    select.dataset.pick = pick.name;
    let group = select;
    for (const { value, text, under } of pick.values) {
      if (under !== undefined && under !== group.label) {
        group = element("optgroup");
        group.label = under;
        select.append(group);
      }
      const option = element("option", text ?? value);
      option.value = value;
      option.selected = value === this.picked[pick.name];
      (under === undefined ? select : group).append(option);
    }
    select.addEventListener("change", () => {
      this.picked[pick.name] = select.value;
      this.draw();
    });
    label.append(select);
    this.box.querySelector(".controls").append(label);
    return undefined;
  }

  addChoices(pick) {
    const chosen = new Set(pick.values);
    this.picked[pick.name] = chosen;
    const box = element("details", undefined, "choices"), head = element("summary"), all = element("div", undefined, "all");
    const field = element("fieldset"), boxes = [];
    field.append(element("legend", pick.label), all);
    const showCount = () => { head.textContent = `${pick.label}: ${chosen.size} of ${pick.values.length}`; };
    const change = () => { showCount(); this.draw(); };
    for (const value of pick.values) {
      const label = element("label"), tick = element("input");
      tick.type = "checkbox";
      tick.checked = true;
      tick.value = value;
      tick.addEventListener("change", () => {
        if (tick.checked) chosen.add(value); else chosen.delete(value);
        change();
      });
      boxes.push(tick);
      label.append(tick, element("span", value));
      field.append(label);
    }
    for (const [text, on] of [["All", true], ["None", false]]) {
      const button = element("button", text);
      button.type = "button";
      button.addEventListener("click", () => {
        chosen.clear();
        for (const tick of boxes) {
          tick.checked = on;
          if (on) chosen.add(tick.value);
        }
        change();
      });
      all.append(button);
    }
    showCount();
    box.append(head, field);
    this.box.querySelector(".controls").append(box);
  }

  draw(width) {
    if (this.kind.draw) {
      const wide = width ?? this.drawing.clientWidth;
      const made = this.kind.draw(this.table, this.picked, theme(), this.options, wide);
      this.rows = made.rows;
      const config = { displaylogo: false, displayModeBar: wide > 600 ? "hover" : false, modeBarButtons: [["toImage"]] };
      this.box.querySelector(".picked").textContent = this.pickedText();
      Plotly.react(this.drawing, made.traces, { ...made.layout, width: wide }, config);
    }
    this.showNumbers();
  }

  // The picked options, for the printed page, which has no controls.
  pickedText() {
    const words = [...this.box.querySelectorAll("select")].map((select) => `${select.parentNode.firstChild.textContent}: ${select.selectedOptions[0].textContent}`);
    return [...words, ...[...this.box.querySelectorAll(".choices > summary")].map((head) => head.textContent)].join("; ");
  }

  showNumbers() {
    if (this.numbers.open) fillTable(this.numbers.querySelector(".scroll"), this.table, this.rows);
  }
}

function drawAll(width) {
  for (const figure of figures) figure.draw(width);
}

function setTheme(name) {
  root.dataset.theme = name;
  const button = document.getElementById("theme");
  button.textContent = name === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-label", `Switch to ${name === "dark" ? "light" : "dark"} colours`);
  button.setAttribute("aria-pressed", String(name === "dark"));
}

function start() {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)"), printed = matchMedia("print");
  setTheme(dark.matches ? "dark" : "light");
  for (const box of document.querySelectorAll("figure[data-chart]")) figures.push(new Figure(box, charts[box.dataset.chart]));
  let chosen = false; // whether the reader chose a theme
  const turn = (name) => { setTheme(name); drawAll(); };
  document.getElementById("theme").addEventListener("click", () => {
    chosen = true;
    turn(root.dataset.theme === "dark" ? "light" : "dark");
  });
  dark.addEventListener("change", () => { if (!chosen) turn(dark.matches ? "dark" : "light"); });
  let before = null; // the theme on screen while the page is printed
  const print = () => {
    if (before !== null) return;
    before = root.dataset.theme;
    setTheme("light");
    drawAll(PRINT_WIDTH);
  };
  const screen = () => {
    if (before === null) return;
    setTheme(before);
    before = null;
    drawAll();
  };
  window.addEventListener("beforeprint", print);
  window.addEventListener("afterprint", screen);
  printed.addEventListener("change", () => { if (printed.matches) print(); else screen(); });
  if (window.innerWidth < 992) document.getElementById("contents").open = false;
  let width = window.innerWidth, waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (window.innerWidth !== width && before === null) drawAll();
      width = window.innerWidth;
    }, 150);
  });
  const next = (index) => { // one chart at a time, so that the first appears at once
    if (index === figures.length) {
      root.dataset.ready = "yes";
      return;
    }
    figures[index].draw();
    setTimeout(next, 0, index + 1);
  };
  next(0);
}

start();
