"""`python3 -m infra.app`: the assembly of a stage (context `stage`, default dev), no account, Docker or network."""

import os
from pathlib import Path

# Node 20 is what we ask for; jsii fills the screen about its age at each start.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

from aws_cdk import App, CliCredentialsStackSynthesizer, DefaultStackSynthesizer

from infra.stack import Pma
from infra.stage import STAGES, Stage

CONTEXT = {
    "aws:cdk:enable-path-metadata": False,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,
    "@aws-cdk/aws-lambda:recognizeVersionProps": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
}
ROOT = Path(__file__).resolve().parent.parent


def build(stage: Stage, *, zips: Path, outdir: str | None = None) -> App:
    """The app of one stage; `zips` is the folder that `python -m infra.build` made for the stage's target."""
    app = App(context=CONTEXT, outdir=outdir)
    Pma(
        app,
        stage=stage,
        zips=zips,
        # With IAM enforced, the embedded cloud lets nobody assume the bootstrap's publishing roles.
        synthesizer=CliCredentialsStackSynthesizer() if stage.emulated else DefaultStackSynthesizer(),
    )
    return app


def main() -> None:
    name = App().node.try_get_context("stage") or "dev"
    if name not in STAGES:
        raise SystemExit(f"There is no stage {name}: say one of {', '.join(STAGES)} (cdk --context stage=dev).")
    stage = STAGES[name]
    zips = ROOT / "build" / stage.target.name
    if not (zips / "layer.zip").exists():
        raise SystemExit(f"{zips} is not built yet: run python -m infra.build --stage {name} first.")
    build(stage, zips=zips).synth()


if __name__ == "__main__":
    main()
