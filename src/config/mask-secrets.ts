/** `url` with its password, and passwords among its parameters, replaced by `***`. */
export function maskSecrets(url: string): string {
  return url
    .replace(/^([a-z+]+:\/\/[^:@/]*:).*@/i, "$1***@")
    .replace(/([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*/gi, "$1***");
}
