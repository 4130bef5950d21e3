"""The cookbook's appendix: two workers, two processes, every map made; a damaged picture is recorded and not lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lessons_lib as ll
from lessons_lib.teach.cookbook import pictures
from tools.cookbook import FOLDER

NAMES = {"broken.jpg", "cat.jpg", "photo.jpg", "scene.jpg", "wide.jpg"}


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of the two files, in a folder with pictures, with weights at random that are the same in every process."""
    pictures(tmp_path)
    code = (FOLDER / "machines" / f"{request.param}.py").read_text(encoding="utf-8")
    seeded = code.replace(
        'resnet50(weights="DEFAULT").eval()', "(torch.manual_seed(0), resnet50(weights=None).eval())[1]"
    )
    assert seeded != code
    (tmp_path / "script.py").write_text(seeded, encoding="utf-8")
    return tmp_path / "script.py"


def expected(folder: Path) -> dict[str, torch.Tensor]:
    """Return the library's maps of the pictures that can be read, by name."""
    from PIL import Image
    from torchvision.models import ResNet50_Weights, resnet50

    torch.manual_seed(0)
    model, prepare = resnet50(weights=None).eval(), ResNet50_Weights.DEFAULT.transforms()
    whole = [path for path in sorted((folder / "photos").iterdir()) if path.stem != "broken"]
    batch = torch.stack([prepare(Image.open(path).convert("RGB")) for path in whole])
    heats = ll.explain(model, batch, layer=model.layer4)
    return {path.name: heat.values for path, heat in zip(whole, heats, strict=True)}


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).abs().max() < 1e-4 * other.abs().max())


@pytest.mark.parametrize("script", ["several_gpus"], indirect=True)
def test_two_processes_share_a_folder_and_go_on_where_they_stopped(script: Path) -> None:
    folder = script.parent
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "script.py"]
    done = subprocess.run(torchrun, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {path.with_suffix(".jpg").name: torch.load(path) for path in (folder / "maps").glob("*.pt")}
    assert found.keys() == NAMES and "Truncated" in found["broken.jpg"]["error"]
    wanted = expected(folder)
    assert all(close(found[name]["map"], values) for name, values in wanted.items())
    (folder / "maps" / "cat.pt").unlink()
    done = subprocess.run(torchrun, cwd=folder, capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == ["process 0 of 2 made 0", "process 1 of 2 made 1"]


@pytest.mark.parametrize("script", ["ray_data"], indirect=True)
def test_rays_workers_make_every_map_and_keep_the_reason_of_what_failed(script: Path) -> None:
    import pandas

    folder = script.parent
    settings = os.environ | {"HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    settings |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_raylet_start_wait_time_s": "240"}
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "5 rows"
    rows = pandas.read_parquet(folder / "maps.parquet")
    found = {
        Path(path).name: (error, values)
        for path, error, values in zip(rows["path"], rows["error"], rows["map"], strict=True)
    }
    assert found.keys() == NAMES and "Truncated" in found["broken.jpg"][0]
    for name, values in expected(folder).items():
        assert close(torch.tensor(found[name][1].tolist()).reshape(7, 7), values)  # Ray keeps tensors flat
