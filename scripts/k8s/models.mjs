// Validates objects of kinds that Kubernetes itself does not have a schema for.
// usage: models.mjs FILE.json...   each a list of objects
import { readFileSync } from "node:fs";
import * as keda from "@kubernetes-models/keda/keda.sh/v1alpha1";
import * as prometheus from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const models = { "monitoring.coreos.com/v1": prometheus, "keda.sh/v1alpha1": keda };

let failed = false;
let checked = 0;
for (const file of process.argv.slice(2)) {
  for (const object of JSON.parse(readFileSync(file, "utf8"))) {
    const Model = models[object.apiVersion]?.[object.kind];
    try {
      if (!Model) throw new Error("no schema is known for it");
      new Model(object).validate();
      checked += 1;
    } catch (error) {
      failed = true;
      console.error(`${file}: ${object.kind}/${object.metadata?.name}: ${error.message}`);
    }
  }
}
console.log(`${checked} custom objects are valid`);
process.exit(failed ? 1 : 0);
