"""The operator's commands: `python -m ops --help`. Prints JSON; a mistake is one sentence and exit code 2."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from adapters.archive import BrokenLine
from adapters.dynamodb import Throttled
from adapters.queue import NotTaken
from ops import alert_load, audit, catalogue, enrol, erasure, organisation, quarantine, replay
from ops.errors import OperatorError


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m ops", description="The operator's commands.")
    commands = parser.add_subparsers(required=True, metavar="what")
    organisation.add_parser(commands)
    enrol.add_parser(commands)
    catalogue.add_parser(commands)
    alert_load.add_parser(commands)
    audit.add_parser(commands)
    quarantine.add_parser(commands)
    replay.add_parser(commands)
    erasure.add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        print(json.dumps(chosen.run(chosen), indent=2, ensure_ascii=False))
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 2
    except (BrokenLine, NotTaken, Throttled) as error:
        print(f"It stopped, and the same command goes on: {error}.", file=sys.stderr)
        return 1
    except ClientError as error:
        print(f"The cloud refused {error.operation_name}: {error.response['Error']['Message']}", file=sys.stderr)
        return 1
    except BotoCoreError as error:
        print(f"The cloud cannot be reached: {error} Check the region and the credentials.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Broken off. What is done stays done; the same command goes on.", file=sys.stderr)
        return 130  # as a shell reports Ctrl-C
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
