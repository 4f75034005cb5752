"""What `make bench-accuracy` trains: a chain of stages for each recipe, and for each ingredient of best left out."""

from dataclasses import dataclass

ARCFACE = ("loss.ce=0.8", "loss.margin=arcface", "loss.margin_weight=0.2", "loss.label_smoothing=0")  # recipe F's loss
BLEND = ("a", "d", "e")  # recipe E blends several architectures
CELL_TYPES = ("HUVEC", "RPE")  # of the bench screen
CENTRES = ("centres_plate",)
CHANNELS = "[1,2,3,4,5,6]"
LIKENESS = ("knn_plate", "knn_off", "centres_plate", "centres_off")  # kind and centring, as `neighbours` takes them
TWO = (0, 1)  # seeds of what best does not have
SETS = ("[1,2,3,4,5]", "[1,2,3,4,6]", "[1,2,3,5,6]", "[1,2,4,5,6]", "[1,3,4,5,6]", "[2,3,4,5,6]")


@dataclass(frozen=True)
class Chain:
    """The trainings of one recipe, in order; each file of configs/recipes/bench is a stage.

    ``set`` is laid over every one of them, or over those whose name has ``only``. ``by_cell_type``: each training once
    a cell type. ``finetune``: a last training for each cell type from the common model. ``head``: the head predicts.
    ``likeness``: what is made of the embeddings of each stage, of `LIKENESS`. ``answer``: which of these labels wells
    for stage III, is calibrated and answers, the head if empty. ``sets``: which channel sets are trained. ``seeds``:
    all if None.
    """

    name: str
    title: str
    configs: tuple[str, ...]
    set: tuple[str, ...] = ()
    only: str = ""
    by_cell_type: bool = False
    finetune: str = ""
    head: bool = True
    likeness: tuple[str, ...] = ()
    answer: str = ""
    sets: tuple[str, ...] = (CHANNELS,)
    seeds: tuple[int, ...] | None = None

    def given(self, file: str) -> tuple[str, ...]:
        """Return the settings that are laid over a file."""
        return self.set if self.only in file else ()


A = ("a_control_full_pseudo.control.yml", "a_control_full_pseudo.full.yml")
A_PSEUDO = "a_control_full_pseudo.pseudo.yml"
BEST = ("best.control.yml", "best.full.yml")
BEST_PSEUDO = "best.pseudo.yml"


def ingredient(
    name: str,
    title: str,
    *given: str,
    configs: tuple[str, ...] = BEST,
    only: str = "",
    seeds: tuple[int, ...] | None = None,
) -> Chain:
    """Return best's first two stages with something changed; stage III would cost as much again."""
    answer = {"head": False, "likeness": CENTRES, "answer": CENTRES[0]}
    return Chain(f"best_{name}", title, configs, given, only, seeds=seeds, **answer)


CHAINS = (
    Chain("a", "A: control, full, pseudo", (*A, A_PSEUDO)),
    Chain("best", "best", (*BEST, BEST_PSEUDO), likeness=LIKENESS, answer=CENTRES[0]),
    Chain("a_plate", "A with BatchNorm by plate", A, ("model.bn=plate",)),
    Chain("f", "F: ArcFace, CutMix, progressive", ("f_densenet161_arcface_cutmix.yml",)),
    ingredient("running", "running BatchNorm", "model.bn=running"),
    Chain("d", "D: blur-pool, CosFace", ("d_blurpool_densenet121_cosface.yml",), by_cell_type=True),
    Chain("c", "C: AdaCos, metadata, CutMix late", ("c_efficientnet_b3_adacos.yml",), likeness=LIKENESS),
    Chain(
        "b",
        "B: neighbours of embeddings",
        ("b_densenet201_knn.yml",),
        finetune="b_densenet201_knn.finetune.yml",
        likeness=LIKENESS,
    ),
    Chain("e", "E: EfficientNet", ("e_blend_plate_mask.yml",)),
    Chain("a_scratch", "A without stage I", (A[1],), ("init.stage=none",)),
    Chain("a_experiment", "A with BatchNorm by experiment", A, ("model.bn=experiment",)),
    ingredient("scratch", "without stage I", "init.stage=none", configs=BEST[1:]),
    ingredient("linear", "without neck", "model.head=linear"),
    ingredient("ema", "without averaged weights", "train.ema=0"),
    ingredient("progressive", "with progressive pseudo-labels", "progressive.start=10", only="full", seeds=TWO),
    ingredient("arcface", "with ArcFace", *ARCFACE, seeds=TWO),
    ingredient("cutmix", "with CutMix", "augment.cutmix=0.5", seeds=TWO),
    ingredient("classes", "with controls as classes", "data.controls=classes", seeds=TWO),
    ingredient("celltype", "with the cell type joined", "model.metadata=[cell_type]", seeds=TWO),
    Chain(
        "best_sets", "six channel sets", BEST, head=False, likeness=CENTRES, answer=CENTRES[0], sets=SETS, seeds=(0,)
    ),
)
