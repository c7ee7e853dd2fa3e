"""A source distribution, the wheel that is built out of it, and the wheel unpacked: each once."""

import shutil
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.built import Built, build, sources


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both, from a copy of the checkout, so that it gets no build folder; the wheel from nothing but the sdist."""
    copy, unpacked, out = (tmp_path_factory.mktemp(name) for name in ("copy", "unpacked", "out"))
    for path in sources():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    sdist = build("sdist", copy, out)
    shutil.unpack_archive(sdist, unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return Built(sdist, build("wheel", source, out))


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel would put into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    shutil.unpack_archive(built.wheel, folder, "zip")
    return folder
