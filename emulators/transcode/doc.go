// Package transcode serves the REST form of gRPC services: HTTP with JSON at the paths that
// their google.api.http annotations name, as Google's services do. A method with a stream
// of responses answers with a JSON array of them. Methods with a stream of requests have no
// REST form here.
package transcode
