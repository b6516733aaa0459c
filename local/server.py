"""The emulator's own process: MiniStack with our patches, and an end when its parent ends.

Started by `local.emulator` only. Its folder stands on its command line, which is how a later run knows it as ours.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from ministack import app
from ministack.core import lambda_runtime

from local import patches
from local.emulator import remove


def end_with_parent(parent: int, folder: Path) -> None:
    """Wait until the pipe that only our parent holds open is closed, then end everything of ours.

    The kernel closes it however the parent ends, `kill -9` included.
    """
    os.read(parent, 1)
    lambda_runtime.reset()  # ends the Lambda workers, which write into the folder
    remove(folder)
    os.killpg(0, signal.SIGKILL)  # ourselves, and a worker that was being started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--bare", action="store_true", help="MiniStack as it is, without our patches")
    arguments = parser.parse_args()
    threading.Thread(target=end_with_parent, args=(arguments.parent, arguments.folder), daemon=True).start()
    if not arguments.bare:
        patches.apply()
    sys.argv = ["ministack"]
    app.main()


if __name__ == "__main__":
    main()
