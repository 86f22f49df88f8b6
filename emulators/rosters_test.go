package main

import (
	"os"
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// rostersOf runs the command rosters for the database of a project.
func (r *running) rostersOf(t *testing.T, project string, args ...string) (out string, err error) {
	t.Helper()
	cmd := command(t.Context(), append([]string{"rosters", "-project", project}, args...)...)
	cmd.Env = append(cmd.Environ(), "FIRESTORE_EMULATOR_HOST="+r.addr["Firestore"])
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// The command rosters fails for a roster with a customer who does not exist, and empties it.
func TestRosters(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	if r.addr["Firestore"] == "" {
		r.addr["Firestore"] = os.Getenv("FIRESTORE_EMULATOR_HOST")
	}
	const project = "rosters"
	db, err := sdk.NewClient(t.Context(), project, option.WithEndpoint(r.addr["Firestore"]), option.WithoutAuthentication(), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	key := push.CustomerKey("nobody")
	_, err = db.Doc("rosters/"+key[:2]).Set(t.Context(), map[string]any{
		"at": time.Now(), "builtAt": time.Now(), "parts": 1, "data": push.EncodeRoster([]*push.Customer{{ID: "nobody"}}),
	})
	if err != nil {
		t.Fatalf("writing a roster: %v", err)
	}

	out, err := r.rostersOf(t, project)
	if err == nil {
		t.Errorf("the command passes, want an error:\n%s", out)
	}
	for _, part := range []string{
		"1 documents of rosters, 0 customers: costs up to 3 reads",
		"WRONG   roster " + key[:2] + ": customer " + key + ": the customer does not exist",
		"1 rosters are used, 0 customers compared, 3 documents read, 1 findings",
		"emulators: rosters: 1 findings",
	} {
		check.Contains(t, out, part, "the output")
	}

	out, err = r.rostersOf(t, project, "-delete")
	if err != nil {
		t.Errorf("the command fails with -delete: %v\n%s", err, out)
	}
	check.Contains(t, out, "all 1024 rosters are empty", "the output with -delete")
	out, err = r.rostersOf(t, project)
	if err != nil {
		t.Errorf("the command fails after -delete: %v\n%s", err, out)
	}
	check.Contains(t, out, "0 rosters are used, 0 customers compared", "the output after -delete")
}

func TestFaultsOfTheCommandRostersAreNamed(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                 "-project is missing",
		"-project p more":  "flags but no arguments",
		"-project p -what": "not defined: -what",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			out, err := command(t.Context(), append([]string{"rosters"}, strings.Fields(args)...)...).CombinedOutput()
			if err == nil {
				t.Fatalf("the command passes, want an error:\n%s", out)
			}
			check.Contains(t, string(out), want, "the error")
		})
	}
}
