"""What others' rules find in the templates, and what is known against the packages: each finding has an answer.

`ops/audit/answers.yaml` has the answers, `docs/findings.md` shows them. cdk-nag's other packs are asked by a test
(`tests/templates/test_findings.py`), checkov and the lists of weaknesses by `make audit`.
"""
