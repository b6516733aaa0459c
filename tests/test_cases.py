"""docs/cases.md says which cases have a test, and says it truly."""

from pathlib import Path

from tests.cases import PAGE, TITLES, named_in, page


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(named_in()), "tests were named or renamed: run `make cases`"


def test_a_test_names_no_case_that_there_is_not() -> None:
    assert {case: files for case, files in named_in().items() if case not in TITLES} == {}


def test_a_case_is_found_in_a_name_a_decorator_and_a_scenario(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    (folder / "scenarios").mkdir(parents=True)
    (folder / "scenarios" / "low.json").write_text('{"scenarios": [{"id": "noise", "cases": ["C4"]}, {"id": "none"}]}')
    (folder / "test_a.py").write_text(
        "def test_c24_r5_two_paths(): ...\n"
        "def helper_c1(): ...\n"
        "@breach('T1', 'x')\n"
        "def no_error_action_r1(): ...\n"
        "@mark\n"
        "def r2(): ...\n"
    )
    assert named_in(folder) == {
        "C4": ["tests/scenarios/low.json"],
        **{case: ["tests/test_a.py"] for case in ("C24", "R5", "T1", "R1")},
    }
    assert "| C24 | " in page(named_in(folder))
    assert "`test_a.py` |" in page(named_in(folder))
    assert "## T: Rules of the template (1 of 20)" in page(named_in(folder))
