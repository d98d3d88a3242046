"""Settings: which source wins, all mistakes at once, presets, and a schema that is current."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from saywhat.cli.flags import Given
from saywhat.cli.settings import PRESETS, SettingsFile, changes, preset_names, resolve, schema
from saywhat.config import LimitSettings, Section
from saywhat.errors import SetupError, UnknownNameError
from saywhat.experiment.evaluations import Settings
from saywhat.experiment.paper import TABLE_1
from saywhat.experiment.steps import Steps


def _flags(**texts: str) -> dict[str, Given]:
    return {
        f"audit.{key.replace('__', '.')}": Given(text, f"--{key}") for key, text in texts.items()
    }


def _resolve(
    path: Path | None = None, environment: Mapping[str, str] | None = None, **flags: str
) -> SettingsFile:
    return resolve("audit", config=path, environment=environment or {}, flags=_flags(**flags))


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _mistakes(error: SetupError) -> list[str]:
    return [line.strip() for line in str(error).splitlines()]


def test_without_any_source_the_defaults_hold() -> None:
    assert _resolve() == SettingsFile()


def test_each_source_wins_over_the_one_before(tmp_path: Path) -> None:
    """Preset 5 < file 6 < SAYWHAT_BUDGET 7 < SAYWHAT_AUDIT__... 8 < --budget 9 < --set 10."""
    path = _file(tmp_path, "version: 1\naudit:\n  search: {budget: 6}\n")
    nested = {"SAYWHAT_AUDIT__SEARCH__BUDGET": "8"}
    key = "audit.search.budget"
    variable, flag = {key: Given("7", "SAYWHAT_BUDGET")}, {key: Given("9", "--budget")}

    def budget(**sources: object) -> int:
        given = {"environment": {}, "flags": {}, **sources}
        return resolve("audit", preset="tiny", **given).audit.search.budget  # type: ignore[arg-type]

    assert budget() == 5
    assert budget(config=path) == 6
    assert budget(config=path, flags=variable) == 7
    assert budget(config=path, flags=variable, environment=nested) == 8
    assert budget(config=path, flags=flag, environment=nested) == 9
    assert budget(config=path, flags=flag, assignments=["search.budget=10"]) == 10


def test_a_section_given_in_part_keeps_the_defaults_of_its_place(tmp_path: Path) -> None:
    """``NetworkSettings()`` has no attention, but the generator's network has."""
    path = _file(tmp_path, "train: {pretrain: {network: {hidden: 64}}}\nchatbot_training:\n")
    network = _resolve(path).train.pretrain.network
    assert (network.hidden, network.attention) == (64, True)
    assert _resolve(path).chatbot_training == SettingsFile().chatbot_training


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "version: 2\n"
        "audit:\n"
        "  sed: 3\n"
        "  limits: 5\n"
        "  similarity: {threshold: 1.5}\n"
        "train:\n"
        "  reinforce: {estimator: magic}\n"
        "  budget: 3\n",
    )
    environment = {
        "SAYWHAT_AUDIT__SEARCH__BUGDET": "3",
        "SAYWHAT_ADIT__SEED": "1",
        "SAYWHAT_X": "1",
    }
    with pytest.raises(SetupError) as caught:
        resolve(
            "audit",
            config=path,
            environment=environment,
            flags=_flags(search__budget="many"),
            assignments=["limit=0", "serch.budget=3", "nonsense"],
        )
    limits = "a section with the keys " + ", ".join(LimitSettings.model_fields)
    at_most_1, variable = "a number less than or equal to 1", "SAYWHAT_AUDIT__SEARCH__BUGDET"
    head, *mistakes = _mistakes(caught.value)
    assert head == "12 settings cannot be used:"
    assert sorted(mistakes) == sorted([
        f"version: expected 1; got 2 ({path}, line 1)",
        f"audit.sed: unknown key ({path}, line 3). Did you mean audit.seed?",
        f"audit.limits: expected {limits}; got 5 ({path}, line 4)",
        f"audit.similarity.threshold: expected {at_most_1}; got 1.5 ({path}, line 5)",
        f"train.reinforce.estimator: expected 'reinforce' or 'paper'; got 'magic' ({path}, line 7)",
        f"train.budget: unknown key ({path}, line 8). Did you mean audit.search.budget?",
        f"audit.search.bugdet: unknown key ({variable}). Did you mean audit.search.budget?",
        "adit.seed: unknown key (SAYWHAT_ADIT__SEED). Did you mean audit.seed?",
        "audit.limit: expected a number greater than or equal to 1; got '0' (--set limit=0)",
        "audit.serch.budget: unknown key (--set serch.budget=3). Did you mean audit.search.budget?",
        "--set: expected KEY=VALUE, got 'nonsense'",
        "audit.search.budget: expected a valid integer; got 'many' (--search__budget)",
    ])  # fmt: skip


def test_one_mistake_is_one_line() -> None:
    with pytest.raises(SetupError) as caught:
        _resolve(seed="x")
    assert str(caught.value) == "audit.seed: expected a valid integer; got 'x' (--seed)"


def test_a_list_is_written_as_in_json(tmp_path: Path) -> None:
    made = resolve(
        "chatbot_training",
        environment={"SAYWHAT_AUDIT__MODEL__STOP": '["\\n", "User:"]'},
        flags={},
        assignments=['decoding.context=["hi there", "hello"]'],
    )
    assert made.chatbot_training.decoding.context == ("hi there", "hello")
    assert made.audit.model.stop == ("\n", "User:")
    path = _file(tmp_path, "chatbot_training: {decoding: {context: [hi there, hello]}}\n")
    assert _resolve(path).chatbot_training == made.chatbot_training


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hi", """decoding.context: expected a list, as in ["one", "two"]; got 'hi'"""),
        ("null", """decoding.context: expected a list, as in ["one", "two"]; got None"""),
        ('["hi", 5]', "decoding.context.1: expected a valid string; got 5"),
    ],
)
def test_what_is_no_list_is_told(text: str, message: str) -> None:
    given = f"decoding.context={text}"
    with pytest.raises(SetupError) as caught:
        resolve("chatbot_training", environment={}, flags={}, assignments=[given])
    assert str(caught.value) == f"chatbot_training.{message} (--set {given})"


def test_a_list_that_must_not_be_empty_is_told_so() -> None:
    with pytest.raises(SetupError) as caught:
        resolve("experiment", environment={}, flags={}, assignments=["seeds=[]"])
    assert str(caught.value) == (
        "experiment.seeds: expected a list of at least 1; got [] (--set seeds=[])"
    )


def test_heads_that_cannot_share_the_units_are_told_with_their_key() -> None:
    given = ["network.architecture=transformer", "network.heads=5"]
    with pytest.raises(SetupError) as caught:
        resolve("chatbot_training", environment={}, flags={}, assignments=given)
    assert str(caught.value) == (
        "chatbot_training.network.heads: expected a divisor of hidden (448); got '5' "
        "(--set network.heads=5)"
    )


def test_a_key_given_twice_in_a_file_is_a_mistake(tmp_path: Path) -> None:
    path = _file(tmp_path, "audit:\n  seed: 1\n  limit: 2\n  seed: 3\n")
    with pytest.raises(SetupError, match=r"^audit\.seed: given twice \(.*, line 4\)$"):
        _resolve(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audit: [", "is not YAML"),
        ("- 1\n", "Expected keys and values"),
        ("a: !!python/object/apply:os.system ['echo x']\n", "is not YAML"),
    ],
)
def test_a_file_that_is_no_mapping_of_plain_data_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        _resolve(_file(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Expected a settings file at"):
        _resolve(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"audit: {chatbot: caf\xe9}")
    with pytest.raises(SetupError, match="not UTF-8"):
        _resolve(tmp_path / "latin.yaml")


def test_infinity_and_not_a_number_are_refused(tmp_path: Path) -> None:
    for text in (".inf", ".nan"):
        path = _file(tmp_path, f"audit: {{limits: {{seconds: {text}}}}}")
        with pytest.raises(SetupError, match="finite number"):
            _resolve(path)


def test_the_config_of_a_run_folder_is_read_as_its_section(tmp_path: Path) -> None:
    assert _resolve(_file(tmp_path, "version: 1\nsearch: {budget: 3}\nlimit: null\n")) == _resolve(
        search__budget="3"
    )


def test_null_takes_a_limit_away(tmp_path: Path) -> None:
    path = _file(tmp_path, "audit: {limits: {queries: 5}}")
    assert _resolve(path).audit.limits.queries == 5
    assert _resolve(path, limits__queries="null").audit.limits.queries is None


def test_assignments_may_name_their_section() -> None:
    made = resolve("train", environment={}, flags={}, assignments=["seed=4", "audit.seed=5"])
    assert (made.train.seed, made.audit.seed) == (4, 5)


def test_numbers_in_text_need_no_yaml_form() -> None:
    made = resolve("train", environment={}, flags={}, assignments=["reinforce.learning_rate=1e-4"])
    assert made.train.reinforce.learning_rate == 0.0001


@pytest.mark.parametrize("name", sorted(preset_names()))
def test_presets_are_valid(name: str) -> None:
    assert resolve("train", preset=name, environment={}, flags={}).version == 1


def test_presets_are_three_and_unknown_ones_are_refused() -> None:
    assert set(preset_names()) == {"paper-2019", "small", "tiny"}
    with pytest.raises(UnknownNameError, match="Did you mean 'paper-2019'"):
        resolve("train", preset="paper-2018", environment={}, flags={})


def test_small_is_the_defaults() -> None:
    assert resolve("train", preset="small", environment={}, flags={}) == SettingsFile()


def test_the_papers_preset_says_what_the_paper_says() -> None:
    """Section 5.1 of the paper, number by number."""
    made = resolve("train", preset="paper-2019", environment={}, flags={})
    chatbot, pretrain, reinforce = made.chatbot_training, made.train.pretrain, made.train.reinforce
    network = chatbot.network
    assert (network.layers, network.hidden, network.vocabulary, network.embedding) == (
        3,
        1024,
        30000,
        300,
    )
    training = chatbot.training
    assert (training.optimizer, training.learning_rate, training.dropout, training.clip) == (
        "sgd",
        1.0,
        0.1,
        0.1,
    )
    assert (network.attention, chatbot.decoding.anti_lm_weight) == (False, 0.0)
    network = pretrain.network
    assert (network.layers, network.hidden, network.vocabulary, network.embedding) == (
        2,
        1024,
        60000,
        300,
    )
    training = pretrain.training
    assert (training.optimizer, training.learning_rate, training.dropout, training.clip) == (
        "sgd",
        20.0,
        0.1,
        0.25,
    )
    assert (training.schedule, training.decay, training.batch_size) == ("stall", 0.25, 16)
    assert network.attention is False
    assert (reinforce.estimator, reinforce.learning_rate, reinforce.targets) == ("paper", 0.001, 16)
    assert (reinforce.reward_cut, reinforce.kl, reinforce.entropy, reinforce.human_share) == (
        0.5,
        0,
        0,
        0,
    )
    assert (reinforce.clip, reinforce.dropout) == (0.25, 0.1)
    assert made.train.similarity.name == made.audit.similarity.name == "embedding-average"
    assert (made.train.collect.posts, made.train.lists.utterances, made.train.lists.per_length) == (
        160000,
        10000,
        200,
    )


def test_the_papers_experiment_is_the_paper_alone() -> None:
    """Its files, one chatbot, one seed, all targets; nothing beyond the paper."""
    made = resolve("experiment", preset="paper-2019", environment={}, flags={})
    assert made.chatbot_training.embeddings == "glove.840B.300d.txt"
    vectors = {made.train.similarity.vectors, made.audit.similarity.vectors}
    assert vectors == {"GoogleNews-vectors-negative300.bin"}
    steps = Steps(Settings(made.experiment, made.audit, made.train, made.chatbot_training), Path())
    kinds = {step.name.partition("/")[0] for step in steps.all()}
    assert kinds == {"chatbot", "collect", "evaluate", "pretrain", "reinforce", "human"}
    names = [step.name for step in steps.all() if step.name.startswith("evaluate/")]
    assert [name.rpartition("/")[2] for name in names] == list(TABLE_1)


def _plain(value: object) -> object:
    return value.model_dump() if isinstance(value, Section) else value


def test_the_papers_preset_leaves_nothing_to_our_defaults() -> None:
    """A default that changes later must not change the paper's preset."""
    free = {"version", "limits", "connection", "model"}
    of_training = free | {"chatbot", "corpus", "seed"}  # the experiment says them
    text = (PRESETS / "paper-2019.yaml").read_text(encoding="utf-8")
    for section, model, left in (
        ("train", SettingsFile().train, of_training),
        ("chatbot_training", SettingsFile().chatbot_training, free),
        ("experiment", SettingsFile().experiment, free),
    ):
        own = re.split(r"\n(?=\w)", text.partition(f"\n{section}:")[2])[0]
        keys = set(type(model).model_fields) - left
        for name, value in ((key, _plain(getattr(model, key))) for key in sorted(keys)):
            for key in value if isinstance(value, dict) else [name]:
                assert re.search(rf"^ +{key}:", own, re.MULTILINE), (
                    f"{section}: {name}.{key} is not set"
                )


@pytest.mark.parametrize(
    ("key", "value", "twice"),
    [
        ("seeds", "[1, 2, 1]", "1"),
        ("others", '["gru", "gru"]', "gru"),
        ("methods", '["rl-greedy", "rl-greedy"]', "rl-greedy"),
    ],
)
def test_what_is_named_twice_is_told(key: str, value: str, twice: str) -> None:
    with pytest.raises(SetupError) as caught:
        resolve("experiment", environment={}, flags={}, assignments=[f"{key}={value}"])
    assert f"experiment.{key}: expected each one once, not {twice} twice; got [" in str(
        caught.value
    )


def test_changes_are_all_that_is_not_the_presets_from_wherever_it_came(tmp_path: Path) -> None:
    path = _file(tmp_path, "experiment: {seeds: [4]}")
    made = resolve(
        "experiment",
        preset="paper-2019",
        config=path,
        environment={"SAYWHAT_AUDIT__LIMITS__QUERIES": "9"},
        flags={},
        assignments=[
            "chatbot_training.embeddings=null",
            "experiment.chatbot=openai:https://me:pw@host/v1#m",
            "experiment.per_group=null",
        ],
    )
    assert changes(made, "paper-2019") == [
        "audit.limits.queries=9",
        "chatbot_training.embeddings=null",
        "experiment.chatbot=openai:https://***@host/v1#m",
        "experiment.seeds=[4]",
    ]
    plain = changes(made, "paper-2019")
    again = resolve("experiment", preset="paper-2019", environment={}, flags={}, assignments=plain)
    assert again.experiment.seeds == (4,)
    assert again.chatbot_training == made.chatbot_training


def test_the_schema_is_current() -> None:
    """To renew it, write what is expected here."""
    stored = (PRESETS / "schema.json").read_text(encoding="utf-8")
    assert stored == json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
