"""What compose.yaml has to keep to.

usage: compose.py

Prints each breach and exits with 1 where there is one.
"""

import re
import sys

import yaml

from policy import ROOT, known_variables


def breaches(compose, dockerfile):
    services, variables = compose["services"], known_variables()
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    for name, service in services.items():
        say = lambda holds, what: [] if holds else [f"compose.yaml: {name}: {what}"]
        yield from say(service.get("read_only"), "may write to its root file system")
        yield from say(service.get("cap_drop") == ["ALL"], "keeps capabilities")
        yield from say("no-new-privileges:true" in service.get("security_opt", []), "may gain rights")
        image = service.get("image", "")
        yield from say(":" in image and not image.endswith(":latest"), "has an image without a version")
        target = service.get("build", {}).get("target")
        yield from say(target is None or target in targets, f"is built from {target}, which the Dockerfile lacks")
        for port in service.get("ports", []):
            yield from say(port.startswith("127.0.0.1:"), f"is open to other machines: {port}")
        for variable in service.get("environment", {}):
            ours = variable.startswith("FLEET_")
            yield from say(not ours or variable in variables, f"sets {variable}, which nothing reads")
        for other in service.get("depends_on", {}):
            yield from say(other in services, f"waits for {other}, which is not there")
        for network in service.get("networks", []):
            yield from say(network in compose["networks"], f"is in network {network}, which is not there")
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            there = (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]
            yield from say(there, f"mounts {source}, which is not there")


def main():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    found = list(breaches(compose, (ROOT / "Dockerfile").read_text()))
    for breach in found:
        print(breach, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
