import protobuf from "protobufjs";

/** The part of Google's standard error messages that is answered here. */
const FILES: Readonly<Record<string, string>> = {
  "google/rpc/status.proto": `
    syntax = "proto3";
    package google.rpc;
    import "google/protobuf/any.proto";

    message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }`,
  "google/rpc/error_details.proto": `
    syntax = "proto3";
    package google.rpc;
    import "google/protobuf/duration.proto";

    message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
    message RetryInfo { google.protobuf.Duration retry_delay = 1; }
    message QuotaFailure {
      message Violation { string subject = 1; string description = 2; }
      repeated Violation violations = 1;
    }
    message BadRequest {
      message FieldViolation { string field = 1; string description = 2; }
      repeated FieldViolation field_violations = 1;
    }`,
};

/** Adds google.rpc.Status and the details it may hold to `root`. */
export function addGoogleRpc(root: protobuf.Root): void {
  root.loadSync(["google/protobuf/any.proto", "google/protobuf/duration.proto"]);
  for (const [name, source] of Object.entries(FILES)) {
    // protobufjs takes the name of what it parses from here, and forgets it afterwards.
    Reflect.set(protobuf.parse, "filename", name);
    protobuf.parse(source, root, { keepCase: true });
  }
}
