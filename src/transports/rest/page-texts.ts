/** Only what the gateway itself serves may run or be loaded. Swagger UI sets styles from its script. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

// Addresses in the pages are relative, so that they also work behind a proxy's path prefix.

export const LANDING_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TARL Gateway</title>
<link rel="icon" href="docs/favicon-32x32.png">
<style>
  body { font: 16px/1.6 system-ui, sans-serif; color: #1b1f24; max-width: 40rem; margin: 12vh auto; padding: 0 1.5rem; }
  h1 { font-size: 1.8rem; margin-bottom: 0; }
  dt { font-weight: 600; margin-top: 1rem; }
  dd { margin: 0; color: #57606a; }
  a { color: #0969da; text-decoration: none; }
  a:hover { text-decoration: underline; }
  code { background: #f3f4f6; padding: 0.1em 0.35em; border-radius: 4px; }
</style>
</head>
<body>
<h1>TARL Gateway</h1>
<p>One control plane for AI and ML work, reached over REST, gRPC and GraphQL. This is its REST door.</p>
<dl>
  <dt><a href="docs">docs</a></dt>
  <dd>Every operation, to read and to try out with your key.</dd>
  <dt><a href="openapi.json">openapi.json</a></dt>
  <dd>The same as an OpenAPI 3.1 document, for client generators.</dd>
  <dt><a href="livez">livez</a> and <a href="readyz">readyz</a></dt>
  <dd>Health probes.</dd>
</dl>
<p>Send your key with each request: <code>Authorization: Bearer &lt;key&gt;</code></p>
</body>
</html>
`;

export const DOCS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TARL Gateway: REST API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>body { margin: 0; background: #fafafa; }</style>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The document it shows is at <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

/** A file of its own, because the policy above forbids scripts within the page. */
export const DOCS_SCRIPT = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  persistAuthorization: false,
});
`;
