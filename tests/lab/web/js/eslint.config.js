// What eslint recommends, and a few rules more. Unknown names are found by tsc.
import { createRequire } from "node:module";

const tools = createRequire(new URL("../../../../.tools/js/", import.meta.url));
const { configs } = tools("@eslint/js");

export default [
  configs.recommended,
  {
    rules: {
      "no-undef": "off",
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-script-url": "error",
      "no-shadow": "error",
      "no-var": "error",
      "prefer-const": ["error", { destructuring: "all" }],
      "max-len": ["error", { code: 120 }],
      // Texts of users are text: nothing on a page is made from a string of HTML.
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "cssText"].map((property) => ({ property })),
      ],
    },
  },
];
