import { expect, test } from "vitest";
import { ANONYMOUS } from "../../core/principal.ts";
import { createSystemService } from "./system-service.ts";

const system = createSystemService({ version: "1", protocols: [] });

test("whoAmI lists the groups of a token, and none of a key", () => {
  const groups = ["jwt-group:https://id.example#ml"];
  expect(system.whoAmI({ ...ANONYMOUS, kind: "JWT", groups })).toMatchObject({ kind: "JWT", groups });
  expect(system.whoAmI({ ...ANONYMOUS, kind: "API_KEY" })).toMatchObject({ kind: "API_KEY", groups: [] });
});
