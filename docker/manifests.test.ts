import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../src/config/config.ts";
import { VARIABLES } from "../src/config/variables.ts";

const folder = import.meta.dirname;
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
  /(\.yaml|Dockerfile)$/.test(name),
);
const manifests = files.filter((name) => name.endsWith(".yaml"));

/** The documents of one file; a syntax error fails the test that asks. */
// biome-ignore lint/suspicious/noExplicitAny: manifests have no type here.
function documentsOf(name: string): any[] {
  return parseAllDocuments(readFileSync(join(folder, name), "utf8"), { merge: true, uniqueKeys: true }).map(
    (document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJS();
    },
  );
}

test.each(manifests)("%s is YAML", (name) => {
  expect(documentsOf(name).length).toBeGreaterThan(0);
});

test.each(files)("%s names only variables that exist", (name) => {
  const used = new Set(readFileSync(join(folder, name), "utf8").match(/\bTARL_[A-Z_]*[A-Z]\b/g));
  used.delete("TARL_GATEWAY");
  for (const variable of used) expect(Object.keys(VARIABLES)).toContain(variable);
});

describe("compose.yaml", () => {
  test("gives two gateways a configuration that loads, and time to drain", () => {
    const { services } = documentsOf("compose.yaml")[0];
    for (const name of ["gateway-1", "gateway-2"]) {
      const environment = Object.fromEntries(
        Object.entries<string>(services[name].environment).map(([key, value]) => [
          key,
          value.replace(/\$\{\w+:-(\w+)\}/g, "$1"),
        ]),
      );
      const config = loadConfig(environment);
      expect(config.databaseUrl).toBe("postgres://tarl:tarl@postgres:5432/tarl");
      expect(Number.parseInt(services[name].stop_grace_period, 10) * 1000).toBeGreaterThan(config.shutdownTimeoutMs);
    }
  });
});

describe("kubernetes", () => {
  const pod = () => documentsOf("kubernetes/deployment.yaml")[0].spec.template.spec;

  test("all pods share the folder of feature files", () => {
    const [configMap] = documentsOf("kubernetes/config-map.yaml");
    const config = loadConfig(configMap.data);
    const { containers, volumes } = pod();
    const mount = containers[0].volumeMounts.find((one: { mountPath: string }) => one.mountPath === config.featuresDir);
    const volume = volumes.find((one: { name: string }) => one.name === mount.name);
    const [claim] = documentsOf("kubernetes/features-volume.yaml");
    expect(volume.persistentVolumeClaim.claimName).toBe(claim.metadata.name);
    expect(claim.spec.accessModes).toEqual(["ReadWriteMany"]);
  });

  test("the configuration and the example secret load together", () => {
    const [configMap] = documentsOf("kubernetes/config-map.yaml");
    const [secret] = documentsOf("kubernetes/secret.example.yaml");
    expect(() => loadConfig({ ...configMap.data, ...secret.stringData })).not.toThrow();
  });

  test("a pod is not killed while it drains", () => {
    const [configMap] = documentsOf("kubernetes/config-map.yaml");
    const { shutdownTimeoutMs } = loadConfig(configMap.data);
    const preStopMs = Number(pod().containers[0].lifecycle.preStop.exec.command[1]) * 1000;
    expect(pod().terminationGracePeriodSeconds * 1000).toBeGreaterThan(preStopMs + shutdownTimeoutMs);
  });

  test("ports are those the gateway listens on, and services name them", () => {
    const config = loadConfig({});
    const ports = pod().containers[0].ports;
    expect(ports.map((port: { containerPort: number }) => port.containerPort)).toEqual([
      config.restPort,
      config.graphqlPort,
      config.grpcPort,
    ]);
    const names = ports.map((port: { name: string }) => port.name);
    for (const service of documentsOf("kubernetes/service.yaml")) {
      for (const { targetPort } of service.spec.ports) expect(names).toContain(targetPort);
    }
  });

  test("the kustomization lists every manifest but the example", () => {
    const [{ resources }] = documentsOf("kubernetes/kustomization.yaml");
    const present = readdirSync(join(folder, "kubernetes")).filter((name) => !/^(kustomization|secret)/.test(name));
    expect([...resources].sort()).toEqual(present.sort());
  });
});
