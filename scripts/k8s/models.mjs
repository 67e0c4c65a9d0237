// Validates objects of kinds that Kubernetes itself does not have a schema for.
// usage: models.mjs FILE.json...   each a list of objects
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const models = {
  "monitoring.coreos.com/v1": require("@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"),
  "keda.sh/v1alpha1": require("@kubernetes-models/keda/keda.sh/v1alpha1"),
};

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
