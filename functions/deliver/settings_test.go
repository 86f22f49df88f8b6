package deliver

import (
	"context"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/cloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

func TestSettingsOfProjects(t *testing.T) {
	t.Parallel()
	set, err := cloud.Load[settings](map[string]string{"GOOGLE_CLOUD_PROJECT": "carillon",
		"FIREBASE_PROJECTS": "*=shop-prod,pharmacy=pharmacy-prod", "FIREBASE_QUOTAS": "pharmacy-prod=60000"})
	if err != nil {
		t.Fatal(err)
	}
	peers := map[string]fcm.Peers{"": nobody{"shop"}, "pharmacy-prod": nobody{"pharmacy"}}
	c := set.senderConfig(func(project string) fcm.Peers { return peers[project] })
	check.Equal(t, c.Project, "shop-prod", "Project")
	check.Equal(t, c.QuotaPerMinute, 600_000, "QuotaPerMinute")
	check.Equal(t, c.Peers, peers[""], "Peers")
	want := fcm.Project{ID: "pharmacy-prod", QuotaPerMinute: 60_000, Peers: nobody{"pharmacy"}}
	if len(c.Projects) != 1 {
		t.Fatalf("number of Projects is %v, want 1: %+v", len(c.Projects), c.Projects)
	}
	check.Equal(t, c.Projects[0], want, "the other project")

	_, err = cloud.Load[settings](map[string]string{"GOOGLE_CLOUD_PROJECT": "carillon", "FIREBASE_PROJECTS": "shop", "FIREBASE_QUOTAS": "x=1", "INVALID_SHARE": "2"})
	if err == nil {
		t.Fatal("faulty settings are accepted")
	}
	for _, part := range []string{`"shop" is not a pair`, `no app is in the project "x"`, "INVALID_SHARE"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not contain %q: %v", part, err)
		}
	}
}

// nobody are peers that exist only by name.
type nobody struct{ name string }

func (nobody) StoreDemand(context.Context, push.Demand) error     { return nil }
func (nobody) ReadDemands(context.Context) ([]push.Demand, error) { return nil, nil }
func (nobody) DeleteDemand(context.Context) error                 { return nil }
