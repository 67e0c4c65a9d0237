"""What `kubectl kustomize` built, as `podman play kube` takes it: one file a pod.

usage: playable.py BUILT.yaml SECRETS.yaml REDIS-IMAGE FOLDER

Debian's podman (4.3) knows pods, config maps and volumes by name. Everything else is put into those words, or
left out where only a cluster would read it; each change is said on standard output, once. Files are named
after their pods, NAME-N.yaml. Where REDIS-ADDRESS stands in them, the address of Redis's pod has to be put.
"""

import base64
import sys
from pathlib import Path

import yaml

WORKLOADS = ("Deployment", "StatefulSet")
KEPT = ("ConfigMap", "Secret")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
CLUSTERS = ("topologySpreadConstraints", "priorityClassName", "serviceAccountName")

said = []


def say(change):
    """Says a change, the first time that it is made."""
    if change not in said:
        said.append(change)
        print(f"  changed: {change}")


def as_config_map(secret):
    data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
    data.update(secret.get("stringData") or {})
    say("Secrets are ConfigMaps, and references to them too: podman 4.3 mounts Secrets undecoded")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": secret["metadata"]["name"]}, "data": data}


def container(given, redis):
    """A container without what podman does not have."""
    kept = {key: value for key, value in given.items() if key not in PROBES}
    if len(kept) < len(given):
        say("probes are asked from outside: podman would need curl in the container")
    if kept.pop("lifecycle", None):
        say("no preStop sleep: there is no Service whose endpoints have to be taken away first")
    if kept["image"].startswith("registry.example/"):
        kept["image"] = kept["image"].replace("registry.example/", "localhost/")
        say("images are those built here, localhost/...")
    if "/redis:" in kept["image"] and kept["image"] != redis:
        say(f"{kept['image']} is {redis}")
        kept["image"] = redis
    for resources in kept.get("resources", {}).values():
        if resources.pop("ephemeral-storage", None):
            say("no limits of ephemeral storage: podman has none")
    for variable in kept.get("env", []):
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            source["configMapKeyRef"] = source.pop("secretKeyRef")
    if kept.pop("ports", None):
        say("no ports: podman 4.3 would publish each on every address of this machine")
    kept["imagePullPolicy"] = "Never"
    return kept


def volume(given, pod):
    """A volume in podman's words: a claim is a named volume, made when it is first used."""
    kept = dict(given)
    if "secret" in kept:
        kept["configMap"] = {"name": kept.pop("secret")["secretName"]}
    if "emptyDir" in kept:
        say("an emptyDir is a volume of its own: podman 4.3 has no emptyDir")
        del kept["emptyDir"]
        kept["persistentVolumeClaim"] = {"claimName": f"{pod}-{kept['name']}"}
    return kept


def pod(thing, number, redis):
    """The pod `number` of a workload."""
    template, name = thing["spec"]["template"], f"{thing['metadata']['name']}-{number}"
    spec = dict(template["spec"])
    for word in CLUSTERS:
        if spec.pop(word, None):
            say(f"no {word}: it is of a cluster")
    if spec.get("securityContext", {}).pop("fsGroupChangePolicy", None):
        say("volumes belong to whom the image's folder does: podman has no fsGroup")
    spec["containers"] = [container(one, redis) for one in spec["containers"]]
    spec["volumes"] = [volume(one, name) for one in spec.get("volumes", [])]
    for one in thing["spec"].get("volumeClaimTemplates", []):
        claimed = f"{one['metadata']['name']}-{name}"
        spec["volumes"].append({"name": one["metadata"]["name"], "persistentVolumeClaim": {"claimName": claimed}})
    say(f"a {thing['kind']} is its pods by number: podman makes one pod of it, or knows none")
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def main():
    built, secrets, redis, folder = sys.argv[1:]
    things = [thing for path in (built, secrets) for thing in yaml.safe_load_all(Path(path).read_text()) if thing]
    left = sorted({thing["kind"] for thing in things} - {*WORKLOADS, *KEPT})
    say(f"left out, for only a cluster reads them: {', '.join(left)}")
    common = [as_config_map(thing) if thing["kind"] == "Secret" else thing for thing in things if thing["kind"] in KEPT]
    stored = next((thing for thing in things if thing["kind"] == "StatefulSet" and "redis" in thing["metadata"]["name"]), None)
    for thing in things:
        for number in range(thing["spec"].get("replicas", 1) if thing["kind"] in WORKLOADS else 0):
            made = pod(yaml.safe_load(yaml.safe_dump(thing)), number, redis)
            if stored and thing is not stored:
                made["spec"]["hostAliases"] = [{"ip": "REDIS-ADDRESS", "hostnames": [stored["metadata"]["name"]]}]
                say("Redis is in the hosts of who asks it: podman's name server loses questions while pods come and go")
            text = yaml.safe_dump_all([*common, made], sort_keys=False)
            (Path(folder) / f"{made['metadata']['name']}.yaml").write_text(text)


if __name__ == "__main__":
    main()
