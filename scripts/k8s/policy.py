"""What every built set of Kubernetes objects of this project has to keep to.

usage: policy.py NAME FILE.yaml

Prints each breach as `NAME: object: what is wrong` and exits with 1 where there is one.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("Deployment", "StatefulSet")
PROBES = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY$")


class Objects:
    """The objects of one build, and what is found wrong with them."""

    def __init__(self, name, documents):
        self.name, self.all, self.breaches = name, documents, []

    def of(self, *kinds):
        return [thing for thing in self.all if thing["kind"] in kinds]

    def named(self, kind, name):
        return any(thing["metadata"]["name"] == name for thing in self.of(kind))

    def require(self, thing, holds, breach):
        if not holds:
            where = f"{thing['kind']}/{thing['metadata']['name']}"
            self.breaches.append(f"{self.name}: {where}: {breach}")

    def templates(self):
        """Every pod that is made, with the object that makes it."""
        for thing in self.of(*SERVICES, "Job"):
            yield thing, thing["spec"]["template"]
        for thing in self.of("CronJob"):
            yield thing, thing["spec"]["jobTemplate"]["spec"]["template"]

    def selected(self, selector):
        """The pods that a selector means."""
        return [pod for _, pod in self.templates() if matches(selector, pod["metadata"]["labels"])]

    def settings(self):
        for thing in self.of("ConfigMap"):
            if thing["metadata"]["name"].startswith("fleet-settings"):
                return thing["data"]
        return {}


def matches(selector, labels):
    same = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return same and all(
        labels.get(term["key"]) in term["values"]
        for term in selector.get("matchExpressions") or []
        if term["operator"] == "In"
    )


def known_variables():
    """Every FLEET_* variable that a program of this project reads."""
    found = set()
    for source in [*ROOT.glob("*/src/**/*.rs")]:
        found |= set(re.findall(r'env = "(FLEET_\w+)"', source.read_text()))
    return found


def check_pod(objects, thing, template):
    pod = template["spec"]
    context = pod.get("securityContext", {})
    say = lambda holds, breach: objects.require(thing, holds, breach)
    say(context.get("runAsNonRoot") is True, "may run as root")
    say(isinstance(context.get("runAsUser"), int) and context["runAsUser"] > 0, "has no user number")
    say(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "has no seccomp profile")
    say(pod.get("automountServiceAccountToken") is False, "gets a service-account token")
    say(objects.named("ServiceAccount", pod.get("serviceAccountName")), "has no account of its own")
    say(objects.named("PriorityClass", pod.get("priorityClassName")), "has no priority class")
    say(not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), "shares the host's namespaces")
    for volume in pod.get("volumes", []):
        say("hostPath" not in volume, f"mounts the host's folder {volume['name']}")
        say(volume.get("emptyDir", {"sizeLimit": 1}).get("sizeLimit"), f"volume {volume['name']} has no bound")
        name = volume.get("configMap", {}).get("name")
        say(name is None or objects.named("ConfigMap", name), f"mounts ConfigMap {name}, which is not there")
    for container in pod.get("initContainers", []) + pod["containers"]:
        check_container(objects, thing, container)


def check_container(objects, thing, container):
    name = container["name"]
    say = lambda holds, breach: objects.require(thing, holds, f"container {name} {breach}")
    context = container.get("securityContext", {})
    say(context.get("allowPrivilegeEscalation") is False, "may gain rights")
    say(context.get("readOnlyRootFilesystem") is True, "may write to its root file system")
    say(context.get("capabilities") == {"drop": ["ALL"]}, "keeps capabilities")
    say(not context.get("privileged"), "is privileged")
    for kind in ("requests", "limits"):
        amounts = container.get("resources", {}).get(kind, {})
        for resource in ("cpu", "memory", "ephemeral-storage"):
            say(resource in amounts, f"has no {kind} of {resource}")
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    say(tag not in ("", "latest"), f"has an image without a version: {container['image']}")
    for variable in container.get("env", []):
        plain = "valueFrom" not in variable and not variable["name"].endswith("_FILE")
        say(not (plain and SECRET_NAME.search(variable["name"])), f"holds the secret {variable['name']}")
        if variable["name"].startswith("FLEET_"):
            say(variable["name"] in VARIABLES, f"sets {variable['name']}, which nothing reads")
    for source in container.get("envFrom", []):
        reference = source.get("configMapRef", {}).get("name")
        say(reference and objects.named("ConfigMap", reference), f"reads ConfigMap {reference}, which is not there")


def check_service(objects, thing, template):
    pod = template["spec"]
    say = lambda holds, breach: objects.require(thing, holds, breach)
    drain = int(objects.settings().get("FLEET_DRAIN_MS", 0)) / 1000
    for container in pod["containers"]:
        for probe, path in PROBES.items():
            say(probe in container, f"has no {probe}")
            request = container.get(probe, {}).get("httpGet")
            say(request is None or request["path"] == path, f"asks {request} for its {probe}")
            say(request is None or request["port"] == "ops", f"its {probe} is not on the listener for it")
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        say(pause > 0, "is stopped before its endpoints are gone")
        grace = pod.get("terminationGracePeriodSeconds", 30)
        say(grace > pause + drain, f"is killed {grace} s after its end began; pause and drain take {pause + drain} s")
    if thing["spec"].get("replicas", 2) > 1:
        keys = {rule["topologyKey"] for rule in pod.get("topologySpreadConstraints", [])}
        say({"kubernetes.io/hostname", "topology.kubernetes.io/zone"} <= keys, "is not spread over nodes and zones")
        budgets = [budget["spec"]["selector"] for budget in objects.of("PodDisruptionBudget")]
        say(any(matches(selector, template["metadata"]["labels"]) for selector in budgets), "has no disruption budget")


def check_links(objects):
    """That what refers to something by label or name refers to something."""
    for service in objects.of("Service"):
        pods = objects.selected({"matchLabels": service["spec"]["selector"]})
        objects.require(service, pods, "selects no pod")
        for port in service["spec"]["ports"]:
            names = {p["name"] for pod in pods for c in pod["spec"]["containers"] for p in c.get("ports", [])}
            objects.require(service, port["targetPort"] in names, f"no pod has a port {port['targetPort']}")
    for budget in objects.of("PodDisruptionBudget"):
        objects.require(budget, objects.selected(budget["spec"]["selector"]), "selects no pod")
    for monitor in objects.of("ServiceMonitor"):
        services = [s for s in objects.of("Service") if matches(monitor["spec"]["selector"], s["metadata"]["labels"])]
        objects.require(monitor, services, "selects no service")
        for endpoint in monitor["spec"]["endpoints"]:
            ports = [{p["name"] for p in s["spec"]["ports"]} for s in services]
            objects.require(monitor, all(endpoint["port"] in names for names in ports), "asks a port that is not there")
    for scaler in objects.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        found = [d for d in objects.of("Deployment") if d["metadata"]["name"] == target]
        objects.require(scaler, found, f"scales {target}, which is not there")
        objects.require(scaler, all("replicas" not in d["spec"] for d in found), "fights with `replicas`")
    for thing in objects.of("ScaledObject"):
        check_keda(objects, thing)


def check_keda(objects, thing):
    keys = (ROOT / "worker-sdk/src/keys.rs").read_text()
    objects.require(thing, thing["spec"]["minReplicaCount"] >= 1, "leaves nobody to notice lost workers")
    objects.require(thing, '"{}:{{p{}}}:{name}"' in keys and '"feed"' in keys, "key names have changed")
    streams = []
    for trigger in thing["spec"]["triggers"]:
        texts = all(isinstance(value, str) for value in trigger["metadata"].values())
        objects.require(thing, texts, "metadata of a trigger is no text")
        streams.append(trigger["metadata"]["stream"])
    expected = [f"fleet:{{p{number}}}:feed" for number in range(16)]
    objects.require(thing, streams == expected, "does not watch each partition's feed once")


def check_whole(objects):
    objects.require(objects.all[0], not objects.of("Secret"), "a secret stands in the build")
    for namespace in objects.of("Namespace"):
        level = namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        objects.require(namespace, level == "restricted", "does not enforce the restricted standard")
    for name in objects.settings():
        objects.require(objects.all[0], name in VARIABLES, f"settings have {name}, which nothing reads")
    allowed = objects.settings().get("FLEET_ALLOWED_HOSTS", "").split(",")
    for ingress in objects.of("Ingress"):
        hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
        covered = [host for tls in ingress["spec"]["tls"] for host in tls["hosts"]]
        for host in hosts:
            objects.require(ingress, host in allowed, f"{host} is not in FLEET_ALLOWED_HOSTS")
            objects.require(ingress, host in covered, f"{host} has no certificate")
        backends = [path["backend"]["service"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        objects.require(ingress, all(b["port"] == {"name": "http"} for b in backends), "shows more than the pages")
    for thing in objects.all:
        if thing["kind"] not in ("Namespace", "PriorityClass"):
            objects.require(thing, thing["metadata"].get("namespace") == "fleet", "is in no namespace of ours")


def main():
    name, path = sys.argv[1:]
    objects = Objects(name, [thing for thing in yaml.safe_load_all(Path(path).read_text()) if thing])
    check_whole(objects)
    check_links(objects)
    for thing, template in objects.templates():
        check_pod(objects, thing, template)
        if thing["kind"] in SERVICES:
            check_service(objects, thing, template)
    for breach in objects.breaches:
        print(breach, file=sys.stderr)
    return 1 if objects.breaches else 0


VARIABLES = known_variables()

if __name__ == "__main__":
    sys.exit(main())
