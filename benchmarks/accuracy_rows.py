"""What `make bench-accuracy` trains: a chain of stages for each recipe, and for each ingredient of best left out."""

from dataclasses import dataclass

BEST = ("best.control.yml", "best.yml")
ARCFACE = ("loss.ce=0.8", "loss.margin=arcface", "loss.margin_weight=0.2", "loss.label_smoothing=0")  # recipe F's loss
BLEND = ("a", "d", "e")  # recipe E blends several architectures
CELL_TYPES = ("HUVEC", "RPE")  # of the bench screen
CHANNELS = "[1,2,3,4,5,6]"
SETS = ("[1,2,3,4,5]", "[1,2,3,4,6]", "[1,2,3,5,6]", "[1,2,4,5,6]", "[1,3,4,5,6]", "[2,3,4,5,6]")


@dataclass(frozen=True)
class Chain:
    """The trainings of one recipe, in order; each file of configs/recipes/bench is a stage.

    ``set`` is laid over every one of them. ``by_cell_type``: each training once a cell type. ``finetune``: a last
    training for each cell type from the common model. ``neighbours``: embeddings (of the last models) and their
    neighbours, too. ``sets``:
    which channel sets are trained. ``seeds``: all if None.
    """

    name: str
    title: str
    configs: tuple[str, ...]
    set: tuple[str, ...] = ()
    by_cell_type: bool = False
    finetune: str = ""
    neighbours: bool = False
    sets: tuple[str, ...] = (CHANNELS,)
    seeds: tuple[int, ...] | None = None


A = ("a_control_full_pseudo.control.yml", "a_control_full_pseudo.full.yml")
A_PSEUDO = "a_control_full_pseudo.pseudo.yml"

CHAINS = (
    Chain("a", "A: control, full, pseudo", (*A, A_PSEUDO)),
    Chain("best", "best", BEST, neighbours=True),
    Chain("a_plate", "A with BatchNorm by plate", A, ("model.bn=plate",)),
    Chain("f", "F: ArcFace, CutMix, progressive", ("f_densenet161_arcface_cutmix.yml",)),
    Chain("best_running", "best, running BatchNorm", BEST, ("model.bn=running",)),
    Chain("d", "D: blur-pool, CosFace", ("d_blurpool_densenet121_cosface.yml",), by_cell_type=True),
    Chain("c", "C: AdaCos, metadata, CutMix late", ("c_efficientnet_b3_adacos.yml",), neighbours=True),
    Chain(
        "b",
        "B: neighbours of embeddings",
        ("b_densenet201_knn.yml",),
        finetune="b_densenet201_knn.finetune.yml",
        neighbours=True,
    ),
    Chain("e", "E: EfficientNet", ("e_blend_plate_mask.yml",)),
    Chain("a_scratch", "A without stage I", (A[1],), ("init.stage=none",)),
    Chain("a_experiment", "A with BatchNorm by experiment", A, ("model.bn=experiment",)),
    Chain("best_scratch", "best without stage I", BEST[1:], ("init.stage=none",)),
    Chain("best_labels", "best without progressive pseudo-labels", BEST, ("progressive.start=0",)),
    Chain("best_linear", "best without neck", BEST, ("model.head=linear",)),
    Chain("best_ema", "best without averaged weights", BEST, ("train.ema=0",)),
    Chain("best_arcface", "best with ArcFace", BEST, ARCFACE),
    Chain("best_cutmix", "best with CutMix", BEST, ("augment.cutmix=0.5",)),
    Chain("best_classes", "best with controls as classes", BEST, ("data.controls=classes",)),
    Chain("best_celltype", "best with the cell type joined", BEST, ("model.metadata=[cell_type]",)),
    Chain("best_sets", "best, six channel sets", BEST, sets=SETS, seeds=(0,)),
)
