from dataclasses import replace

from rcic.learn.config.settings import Config
from rcic.learn.runs.folder import changed_settings
from rcic.learn.runs.origin import Origin
from rcic.schema.convert import flat, to_plain


def test_a_key_that_came_after_a_run_had_its_default_then():
    config = Config()
    kept = flat(to_plain(config))
    for key in ("model.embedding", "schedule.curve", "predict.bn", "predict.precision"):
        del kept[key]
    told = {"origin": {}}
    assert changed_settings(kept, config, told, Origin({})) == ""
    other = replace(config, schedule=replace(config.schedule, curve="linear"))
    assert changed_settings(kept, other, told, Origin({})) == "another schedule.curve"
