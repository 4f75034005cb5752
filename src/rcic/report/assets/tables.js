"use strict";
// Tables: decoding of chart.py's encoding, HTML tables and CSV. Cells only ever become text, never markup.

const ARRAYS = { int8: Int8Array, int16: Int16Array, int32: Int32Array };

function unpacked(column) {
  const bytes = Uint8Array.from(atob(column.data), (letter) => letter.charCodeAt(0));
  return new ARRAYS[column.type](bytes.buffer);
}

function decoded(column) {
  if (column.values) return column.values;
  const numbers = Array.from(unpacked(column));
  if (column.labels) return numbers.map((code) => column.labels[code]);
  const digits = Math.max(0, -Math.round(Math.log10(column.step)));
  const value = (number) => (number === column.nothing ? null : Number((number * column.step).toFixed(digits)));
  return numbers.map(value);
}

class Table {
  constructor(encoded) {
    this.rows = encoded.rows;
    this.names = encoded.columns.map((column) => column.name);
    this.encoded = Object.fromEntries(encoded.columns.map((column) => [column.name, column]));
    this.columns = {};
  }
  column(name) {
    this.columns[name] ??= decoded(this.encoded[name]);
    return this.columns[name];
  }
  at(name, row) { return this.column(name)[row]; }
  where(test) {
    const rows = [];
    for (let row = 0; row < this.rows; row += 1) if (test(row)) rows.push(row);
    return rows;
  }
  all() { return Array.from({ length: this.rows }, (_, row) => row); }
  unique(name, rows) {
    const values = this.column(name);
    return [...new Set(rows ? rows.map((row) => values[row]) : values)];
  }
}

// Text of a cell: numbers with at most six digits, a dash for nothing.
function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value);
}

function csvOf(table) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [table.names.map(cell).join(",")];
  for (let row = 0; row < table.rows; row += 1) lines.push(table.names.map((name) => cell(table.at(name, row))).join(","));
  return lines.join("\n") + "\n";
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const MOST_ROWS = 300;

function fillTable(box, table, rows) {
  const names = table.names.filter((name) => rows.some((row) => ![null, ""].includes(table.at(name, row))));
  const isNumber = (name) => rows.every((row) => ["number", "object"].includes(typeof table.at(name, row)));
  const kinds = new Map(names.map((name) => [name, isNumber(name) ? "number" : ""]));
  const head = element("tr");
  for (const name of names) {
    const cell = element("th", name, kinds.get(name));
    cell.scope = "col";
    head.append(cell);
  }
  const body = element("tbody");
  for (const row of rows.slice(0, MOST_ROWS)) {
    const line = element("tr");
    for (const name of names) {
      const text = shown(table.at(name, row));
      line.append(element("td", text, kinds.get(name) || (text.length > 40 ? "wide" : "")));
    }
    body.append(line);
  }
  const made = element("table"), top = element("thead");
  top.append(head);
  made.append(top, body);
  box.replaceChildren(made);
  const left = rows.length - MOST_ROWS;
  if (left > 0) box.append(element("p", `${left.toLocaleString("en")} more rows are in the CSV.`, "more"));
}
