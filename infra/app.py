"""`python3 -m infra.app`: the assembly of a stage (context `stage`, default dev), no account, Docker or network."""

import os
from pathlib import Path

# Node 20 is what we ask for; jsii fills the screen about its age at each start.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

from aws_cdk import App, CliCredentialsStackSynthesizer, DefaultStackSynthesizer, Validations
from cdk_nag import AwsSolutionsChecks

from infra.rules import Template, broken
from infra.stack import Pma
from infra.stage import STAGES, Stage

CONTEXT = {
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,
    "@aws-cdk/aws-lambda:recognizeVersionProps": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    "aws:cdk:enable-path-metadata": False,
}
ROOT = Path(__file__).resolve().parent.parent


class RulesBroken(RuntimeError):
    """The template breaks rules of infra.rules; the message has a line for each."""


def synthesise(stage: Stage, *, zips: Path, outdir: str | None = None) -> Template:
    """Write the assembly of one stage and return its template, having checked it.

    `zips` is the folder that `python -m infra.build` made for the stage's target; without `outdir` the assembly goes
    where the CDK command line wants it, or into a temporary folder. Raises RulesBroken.
    """
    app = App(context=CONTEXT, outdir=outdir)
    Pma(
        app,
        stage=stage,
        zips=zips,
        # With IAM enforced, the embedded cloud lets nobody assume the bootstrap's publishing roles.
        synthesizer=CliCredentialsStackSynthesizer() if stage.emulated else DefaultStackSynthesizer(),
    )
    if not stage.emulated:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    template: Template = app.synth().get_stack_by_name(stage.stack).template
    if findings := broken(template, durable=stage.durable):
        raise RulesBroken("\n".join([f"Stage {stage.name} breaks rules of the template:", *findings]))
    return template


def chosen(name: str, root: Path = ROOT) -> tuple[Stage, Path]:
    """The stage of that name and the folder of its zips. Raises SystemExit, saying what to do."""
    if name not in STAGES:
        raise SystemExit(f"There is no stage {name}: say one of {', '.join(STAGES)} (make synth STAGE=dev).")
    zips = root / "build" / STAGES[name].target.name
    if not (zips / "layer.zip").exists():
        raise SystemExit(f"Nothing is built for stage {name} yet: run python -m infra.build --stage {name} first.")
    return STAGES[name], zips


def main() -> None:
    stage, zips = chosen(App().node.try_get_context("stage") or "dev")
    try:
        synthesise(stage, zips=zips)
    except RulesBroken as problem:
        raise SystemExit(str(problem)) from None


if __name__ == "__main__":
    main()
