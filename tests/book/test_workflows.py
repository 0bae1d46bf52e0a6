"""The workflows run what was reviewed: each action at a commit, each job with the least rights and an end."""

import re
from pathlib import Path

import pytest
import yaml

from paper import PDF

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGE = (ROOT / "_templates" / "page.html").read_text(encoding="utf8")


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return request.param.read_text(encoding="utf8")


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(workflow):
    actions = re.findall(r"\buses: (.*)", workflow)
    assert actions
    assert not [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)]


def test_the_same_action_is_at_the_same_commit_everywhere():
    text = "".join(path.read_text(encoding="utf8") for path in WORKFLOWS)
    pins = dict(re.findall(r"\buses: ([\w/-]+)@(\w+)", text))
    assert len(pins) == len(set(re.findall(r"\buses: ([\w/-]+@\w+)", text)))


def test_a_workflow_may_only_read_and_every_job_ends(workflow):
    assert "\npermissions:\n  contents: read\n\n" in workflow  # what a job needs beyond that stands with the job
    assert workflow.count("runs-on:") == workflow.count("timeout-minutes:")


def test_a_release_has_the_files_to_which_the_first_page_links():
    files = re.findall(r'"(cross-entropy-[\w.-]+)", "', PAGE)
    assert len(files) == 2
    assert PDF.name in files
    [release] = [path.read_text(encoding="utf8") for path in WORKFLOWS if path.stem == "release"]
    assert all(f"/{file}" in release.partition("gh release create")[2] for file in files)


def test_the_link_to_report_an_error_fills_in_fields_of_the_form():
    [form, fields] = re.search(r"issues/new\?template=([\w.]+)&amp;(.*)\">", PAGE).groups()
    body = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / form).read_text(encoding="utf8"))["body"]
    assert re.findall(r"(\w+)=", fields) == ["version", "page"]
    assert {"version", "page"} < {field["id"] for field in body}
