"""The examples for schedulers: well-formed, and, as far as one machine goes, run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.support.projects import change_params, commit_all, run_in

SBATCH = PROJECT / "docs" / "slurm" / "train.sbatch"
MANIFEST = PROJECT / "docs" / "kubernetes" / "train.yaml"
JOB_SCRIPT = 2  # its place in the container's command, after bash and -c


def service_and_job() -> tuple[dict, dict]:
    service, job = yaml.safe_load_all(MANIFEST.read_text())
    return service, job


def pod(job: dict) -> dict:
    """Return the specification of the job's pods."""
    return job["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "script",
    [SBATCH.read_text(), "#!/bin/bash\n" + pod(service_and_job()[1])["containers"][0]["command"][JOB_SCRIPT]],
    ids=["slurm", "kubernetes"],
)
def test_the_scripts_are_clean(script: str) -> None:
    checkers = [["bash", "-n"], ["shellcheck", "--shell=bash", "-"]]
    for checker in checkers if shutil.which("shellcheck") else checkers[:1]:
        done = subprocess.run(checker, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_job_and_its_service_have_what_their_kinds_require_and_name_each_other() -> None:
    # Kubernetes' API reference: batch/v1 Job, core/v1 Service, "Job with Pod-to-Pod Communication"
    service, job = service_and_job()
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}  # a label that Kubernetes gives
    assert pod(job)["subdomain"] == service["metadata"]["name"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["parallelism"] == job["spec"]["completions"]
    assert pod(job)["restartPolicy"] in ("Never", "OnFailure")
    volumes = {volume["name"] for volume in pod(job)["volumes"]}
    for container in [*pod(job)["initContainers"], *pod(job)["containers"]]:
        assert container["name"] and container["image"]
        assert all(isinstance(word, str) for word in container["command"])
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_the_job_starts_as_many_processes_as_it_has_pods_and_gpus() -> None:
    service, job = service_and_job()
    (container,) = pod(job)["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["NODES"] == str(job["spec"]["completions"])
    assert environment["PROCESSES"] == container["resources"]["limits"]["nvidia.com/gpu"]
    name = job["metadata"]["name"]
    assert environment["HEAD"] == f"{name}-0.{service['metadata']['name']}"
    assert f"$HEAD:{service['spec']['ports'][0]['port']}" in container["command"][JOB_SCRIPT]


# What SLURM has and this machine has not, for a job of one node: the name of the node, and the command, run there.
SCHEDULER = {"scontrol": "echo localhost", "srun": 'exec "$@"'}


@pytest.mark.slow
def test_what_the_slurm_job_trains_is_the_stages_own_and_is_pushed(
    tiny_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in SCHEDULER.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    for name, value in {"JOB_ID": "1", "JOB_NODELIST": "here", "JOB_NUM_NODES": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_SUBMIT_DIR", str(tiny_copy))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    run_in(tiny_copy, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    run_in(tiny_copy, "dvc", "push", "prepare", "weights", "params", "backprop", "convolution", "weight_decay")
    change_params(tiny_copy, {"finetune.momentum": 0.8})
    commit_all(tiny_copy, "Less momentum")
    shutil.rmtree(tiny_copy / "models")
    shutil.rmtree(tiny_copy / "data" / "certificates")
    assert "finetune" in run_in(tiny_copy, "dvc", "status", "finetune").stdout

    run_in(tiny_copy, "bash", "docs/slurm/train.sbatch")
    assert "up to date" in run_in(tiny_copy, "dvc", "status", "finetune").stdout
    dry = run_in(tiny_copy, "dvc", "repro", "--dry", "evaluate").stdout
    assert ("Stage 'finetune' didn't change" in dry, "Running stage 'evaluate'" in dry) == (True, True)
    model = yaml.safe_load((tiny_copy / "dvc.lock").read_text())["stages"]["finetune"]["outs"]
    hashes = {out["path"]: out["md5"] for out in model}
    own = hashes["models/finetuned.safetensors"]
    assert (tmp_path / "store" / "files" / "md5" / own[:2] / own[2:]).exists()
