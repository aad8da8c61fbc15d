import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const SERVICE = process.env["MOOVIER_SERVICE"] ?? "http://127.0.0.1:8000";
/** What the page asks the service for; all else is the page's own. */
const API = ["/models", "/movies", "/popular", "/trending", "/providers", "/recommend", "/ratings", "/events", "/train", "/overview"];

/** Writes each file a second and third time, compressed as far as it goes: the service only picks. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    writeBundle({ dir }) {
      for (const name of readdirSync(dir!, { recursive: true, encoding: "utf8" })) {
        if (!/\.(html|js|css|svg)$/.test(name)) continue;
        const file = join(dir!, name);
        const content = readFileSync(file);
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(`${file}.br`, brotliCompressSync(content, { params }));
      }
    },
  };
}

export default defineConfig({
  plugins: [packed()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    // Beside the API's paths, none of which is called so.
    assetsDir: "page",
    // Inlined images would be data: URLs in style sheets; a file each is as quick.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    // The licences of the bundled packages ask for their text beside the code.
    license: { fileName: "licences.md" },
  },
  server: {
    proxy: Object.fromEntries([...API, "/filters", "/readyz"].map((path) => [path, SERVICE])),
  },
});
