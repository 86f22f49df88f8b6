package auth

import (
	"os/exec"
	"strings"
	"testing"

	firebase "firebase.google.com/go/v4"
)

func TestTheVersionIsThatOfTheSDK(t *testing.T) {
	t.Parallel()
	if sdkVersion != firebase.Version {
		t.Errorf("the version is %s, want %s", sdkVersion, firebase.Version)
	}
}

// TestTheStorageClientIsNotCompiled into the emulators and the functions: it would be a third of
// what the first run of the demo compiles.
func TestTheStorageClientIsNotCompiled(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./emulators", "./functions/...")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v", err)
	}

	packages := strings.Fields(string(out))
	if len(packages) < 100 {
		t.Fatalf("%d packages are listed, want all", len(packages))
	}
	for _, p := range packages {
		if p == "cloud.google.com/go/storage" || p == "firebase.google.com/go/v4" {
			t.Errorf("%s is compiled", p)
		}
	}
}
