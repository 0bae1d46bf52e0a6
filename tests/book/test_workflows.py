"""The workflows run what was reviewed: each action at a commit, each job with the least rights and an end."""

import re
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.yml"))


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
