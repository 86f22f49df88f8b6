package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/testcloud/check"
)

// adoptInto runs the command adopt for a running API.
func (r *running) adoptInto(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	cmd := command(t.Context(), append([]string{"adopt", "-to", r.addr["API"]}, args...)...)
	cmd.Env = append(cmd.Environ(), "FIRESTORE_EMULATOR_HOST="+r.addr["Firestore"])
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// The command adopt writes nothing before it is told to, and then exactly what it said.
func TestAdopt(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	if r.addr["Firestore"] == "" {
		r.addr["Firestore"] = os.Getenv("FIRESTORE_EMULATOR_HOST")
	}
	file := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(file, []byte("id,token,os\nanna,anna-phone:APA91b,android\nanna,anna-phone:APA91b,android\n,nobody-phone:APA91b,ios\nben,null,ios\n"), 0o600); err != nil {
		t.Fatalf("writing the file: %v", err)
	}
	fromCSV := []string{"-csv", file, "-platform-column", "os"}

	db, err := sdk.NewClient(t.Context(), "legacy", option.WithEndpoint(r.addr["Firestore"]), option.WithoutAuthentication(), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatalf("opening the old database: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Doc("users/cleo").Set(t.Context(), map[string]any{"fcmToken": "cleo-phone:APA91b"}); err != nil {
		t.Fatalf("writing to the old database: %v", err)
	}
	fromFirestore := []string{"-firestore", "legacy", "-platform", "ios"}

	for _, c := range []struct {
		name, customer string
		args           []string
		want           []string // parts of the output of both runs
	}{
		{"CSV", "anna", fromCSV, []string{"4 entries read", "1 tokens of 1 customers to import, 1 android", "1 have no customer id", "1 are no tokens that FCM could have made", "1 are there a second time"}},
		{"Firestore", "cleo", fromFirestore, []string{"1 entries read", "1 tokens of 1 customers to import, 1 ios"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, write := range []bool{false, true} {
				args, code := c.args, http.StatusNotFound
				want := append([]string{"Nothing was written"}, c.want...)
				if write {
					args, code = append(args, "-write"), http.StatusOK
					want = append([]string{"1 customers imported, 0 refused", "Send a dry run next"}, c.want...)
				}

				out, err := r.adoptInto(t, args...)
				if err != nil {
					t.Fatalf("adopt with -write=%t fails: %v\n%s", write, err, out)
				}
				for _, part := range want {
					check.Contains(t, out, part, "the output with -write=%t", write)
				}
				a := r.ask(t, "GET", "/v1/customers/"+c.customer, "")
				if a.Code != code {
					t.Errorf("after adopt with -write=%t the customer %s is answered with %v, want %d", write, c.customer, a, code)
				}
			}
		})
	}
}

func TestFaultsOfAdoptAreNamed(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                         "give one source",
		"-csv a -onesignal b":      "give one source",
		"-csv missing.csv":         "missing.csv",
		"-csv a -platform symbian": `-platform: the platform is "symbian"`,
		"-csv a -max-tokens 0":     "-max-tokens: 0 tokens",
		"-csv a -to nowhere":       "not a URL of an API",
		"-csv a more":              "flags but no arguments",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			out, err := command(t.Context(), append([]string{"adopt"}, strings.Fields(args)...)...).CombinedOutput()
			if err == nil {
				t.Fatalf("the command succeeds, want an error:\n%s", out)
			}
			check.Contains(t, string(out), want, "the error")
		})
	}
}
