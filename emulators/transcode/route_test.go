package transcode

import (
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/reflect/protoreflect"

	"carillon.example/emulators/testcloud/check"
)

// TestRoutes: a path leads to one method, with the fields that the path has.
func TestRoutes(t *testing.T) {
	t.Parallel()
	routes, err := routesOf([]protoreflect.ServiceDescriptor{pb.File_google_firestore_v1_firestore_proto.Services().ByName("Firestore")})
	if err != nil {
		t.Fatal(err)
	}
	const root = "/v1/projects/p/databases/(default)/documents"
	for _, c := range []struct {
		verb, path, method string
		fields             []string
	}{
		{"GET", root + "/a/b", "GetDocument", []string{"projects/p/databases/(default)/documents/a/b"}},
		{"GET", root + "/a/b/c/d", "GetDocument", []string{"projects/p/databases/(default)/documents/a/b/c/d"}},
		{"GET", root + "/a/b%2Fc", "GetDocument", []string{"projects/p/databases/(default)/documents/a/b/c"}},
		{"GET", root + "/a", "ListDocuments", []string{"projects/p/databases/(default)/documents", "a"}},
		{"GET", root + "/a/b/c", "ListDocuments", []string{"projects/p/databases/(default)/documents/a/b", "c"}},
		{"POST", root + "/a", "CreateDocument", []string{"projects/p/databases/(default)/documents", "a"}},
		{"POST", root + "/a/b/c", "CreateDocument", []string{"projects/p/databases/(default)/documents/a/b", "c"}},
		{"PATCH", root + "/a/b", "UpdateDocument", []string{"projects/p/databases/(default)/documents/a/b"}},
		{"DELETE", root + "/a/b", "DeleteDocument", []string{"projects/p/databases/(default)/documents/a/b"}},
		{"POST", root + ":commit", "Commit", []string{"projects/p/databases/(default)"}},
		{"POST", root + "/a/b:runQuery", "RunQuery", []string{"projects/p/databases/(default)/documents/a/b"}},
		{"POST", root + ":listCollectionIds", "ListCollectionIds", []string{"projects/p/databases/(default)/documents"}},
		{"PUT", root + "/a/b", "", nil},
		{"GET", "/v1/elsewhere", "", nil},
	} {
		t.Run(c.verb+" "+c.path, func(t *testing.T) {
			t.Parallel()
			method, fields := "", []string(nil)
			for _, r := range routes {
				if values, ok := r.match(c.verb, c.path); ok {
					method, fields = string(r.method.Name()), values
					break
				}
			}
			check.Equal(t, method, c.method, "method")
			check.Equal(t, fields, c.fields, "fields of the path")
		})
	}
}
