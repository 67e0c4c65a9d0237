"""That rules and Grafana dashboards ask for what is there, and that links lead somewhere.

usage: references.py

Every metric that k8s/components/monitoring names has to stand in docs/metrics.md or be made by a
recording rule; every runbook link has to be a heading of docs/operations.md; every alert has one.
"""

import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "k8s/components/monitoring"
METRIC = re.compile(r"\b(?:namespace\w*:)?(?:fleet|process)_\w+(?::\w+)?")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def anchors(document):
    """Anchors of a Markdown file's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def main():
    faults = []
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    known = documented | {rule["record"] for rule in rules if "record" in rule}
    sections = anchors(ROOT / "docs/operations.md")
    asked = [(rule.get("record") or rule["alert"], rule["expr"]) for rule in rules]
    for path in sorted(MONITORING.glob("dashboards/*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            asked += [(f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"]]
        cells = [(p["gridPos"]["x"] + p["gridPos"]["w"]) for p in board["panels"]]
        if max(cells) > 24:
            faults.append(f"{path.name}: a panel is wider than the page")
    for where, expression in asked:
        for name in METRIC.findall(expression):
            if name not in known and SUFFIX.sub("", name) not in known:
                faults.append(f"{where}: asks for {name}, which docs/metrics.md does not have")
    for rule in rules:
        if "alert" in rule:
            page, _, section = rule["annotations"].get("runbook_url", "").partition("#")
            if page != "docs/operations.md" or section not in sections:
                faults.append(f"{rule['alert']}: its runbook {page}#{section} is not there")
    tested = (MONITORING / "rules.test.yaml").read_text()
    faults += [
        f"{rule['alert']}: has no test in which it fires"
        for rule in rules
        if "alert" in rule and not re.search(rf"alertname: {rule['alert']}\n\s+exp_alerts", tested)
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
