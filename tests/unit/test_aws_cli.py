"""The AWS CLI's commands of the documentation: found, checked, and run as the CLI would."""

import pytest

from tests.aws_cli import Command, simple_commands


def test_commands_are_found_in_scripts() -> None:
    script = 'a "$(aws b c --d "$(aws e f)")" | g \\\n --h  # aws i j\nX=$(aws k l --m \'n(o)\') && p "${q}"'
    assert [command.strip() for command in simple_commands(script)] == [
        *("aws e f", 'aws b c --d "$_"', 'a "$_"', "g  --h", "aws k l --m 'n(o)'", "X=$_", "", 'p "${q}"'),
    ]


def test_calls_are_read_with_their_options() -> None:
    script = "f() { A=b aws rds wait db-cluster-available --db-cluster-identifier x >/dev/null; }; echo aws ec2 y"
    assert list(Command.of_script(script)) == [
        Command("rds", "wait db-cluster-available", {"--db-cluster-identifier": ["x"]})
    ]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("rds describe-clusters", "rds has no describe-clusters"),
        ("rds delete-db-cluster --db-cluster-identifier x --now", "no option --now"),
        ("rds delete-db-cluster", "DBClusterIdentifier is missing"),
        ("rds wait db-cluster-available --db-cluster x", "no option --db-cluster"),
        (
            "rds delete-db-cluster --db-cluster-identifier x --skip-final-snapshot true",
            "--skip-final-snapshot: a switch",
        ),
        ("ecs run-task --task-definition $T --launch-type FARGAT", "--launch-type: FARGAT is none of EC2, FARGATE"),
        ("ecs run-task --task-definition $T --capacity-provider-strategy provider=X", "has no provider"),
        ("""ecs run-task --task-definition $T --overrides '{"containers": []}'""", "Unknown parameter in input"),
        ("logs tail x --until 1d", "no option --until"),
    ],
)
def test_a_mistake_is_noticed(line: str, finding: str) -> None:
    (command,) = Command.of_script(f"aws {line}")
    assert finding in "\n".join(command.findings())


@pytest.mark.parametrize(
    "line",
    [
        "rds delete-db-cluster --db-cluster-identifier x --no-skip-final-snapshot --output text",
        "ecs run-task --task-definition $T --overrides $OVERRIDES --capacity-provider-strategy capacityProvider=F",
        """ecs run-task --task-definition t --overrides '{"containerOverrides": [{"name": "'"$N"'"}]}'""",
        "logs tail x --since 1d --follow",
        "lambda invoke --function-name f --cli-binary-format raw-in-base64-out --payload '{}' /dev/null",
    ],
)
def test_what_is_right_has_no_finding(line: str) -> None:
    (command,) = Command.of_script(f"aws {line}")
    assert command.findings() == []
