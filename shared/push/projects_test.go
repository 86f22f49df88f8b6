package push

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppProjectsAreReadFromTheSetting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want AppProjects
	}{
		"nothing":             {"", nil},
		"only spaces":         {" \n", nil},
		"one":                 {"shop=shop-prod", AppProjects{"shop": "shop-prod"}},
		"two, with a space":   {"com.shop=shop-prod, com.pharmacy=pharmacy-prod", AppProjects{"com.shop": "shop-prod", "com.pharmacy": "pharmacy-prod"}},
		"every other app":     {"*=shop-prod", AppProjects{"*": "shop-prod"}},
		"project of a domain": {"shop=example.com:shop-prod", AppProjects{"shop": "example.com:shop-prod"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got AppProjects
			if err := got.UnmarshalText([]byte(c.text)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestFaultyAppProjectsAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"no project":    {"shop", []string{`"shop" is not a pair`}},
		"no app":        {"=shop-prod", []string{`"=shop-prod" is not a pair`}},
		"comma at end":  {"shop=shop-prod,", []string{`"" is not a pair`}},
		"number":        {"shop=123456789012", []string{`shop: "123456789012" is not the id of a project`}},
		"twice":         {"shop=shop-prod,shop=shop-test", []string{"shop: the app is given twice"}},
		"app too long":  {strings.Repeat("a", MaxApp+1) + "=shop-prod", []string{"the name of the app is 201 bytes long"}},
		"several":       {"shop=X,pharmacy=", []string{`shop: "X" is not`, `pharmacy: "" is not`}},
		"path in an id": {"shop=shop-prod/x", []string{`"shop-prod/x" is not the id of a project`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p AppProjects
			err := p.UnmarshalText([]byte(c.text))
			if err == nil {
				t.Fatalf("%q is accepted as %v", c.text, p)
			}
			for _, want := range append(c.want, "FIREBASE_PROJECTS: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not contain %q: %v", want, err)
				}
			}
		})
	}
}

func TestProjectQuotas(t *testing.T) {
	t.Parallel()
	var q ProjectQuotas
	if err := q.UnmarshalText([]byte("pharmacy-prod=60000")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ProjectQuotas{"pharmacy-prod": 60_000}, q); diff != "" {
		t.Errorf("the quotas (-want +got):\n%s", diff)
	}

	apps := AppProjects{"pharmacy": "pharmacy-prod"}
	if err := q.Check(apps.ResolveProjects("shop-prod")); err != nil {
		t.Errorf("the quota of a project with an app: %v, want no fault", err)
	}
	if err := (ProjectQuotas{"shop-prod": 1}).Check(apps.ResolveProjects("shop-prod")); err != nil {
		t.Errorf("the quota of the default project: %v, want no fault", err)
	}

	err := (ProjectQuotas{"pharmacy-test": 1}).Check(apps.ResolveProjects("shop-prod"))
	if err == nil {
		t.Fatal("the quota of a project without an app has no fault, want one that names it")
	}
	if !strings.Contains(err.Error(), "pharmacy-test") {
		t.Errorf("the fault of the quota of a project without an app is %q, want it to contain %q", err.Error(), "pharmacy-test")
	}

	for _, text := range []string{"pharmacy-prod", "pharmacy-prod=0", "pharmacy-prod=1e9", "pharmacy-prod=1,pharmacy-prod=2"} {
		t.Run(text, func(t *testing.T) {

			if err := q.UnmarshalText([]byte(text)); err == nil {
				t.Errorf("%q is accepted as %v", text, q)
			}
		})
	}
}

func TestProjectsOfApps(t *testing.T) {
	t.Parallel()
	apps := AppProjects{"shop": "shop-prod", "kiosk": "shop-prod", "pharmacy": "pharmacy-prod"}
	for name, c := range map[string]struct {
		apps   AppProjects
		own    string
		want   Projects
		others []string
	}{
		"no setting":            {nil, "shop-prod", Projects{Default: "shop-prod"}, nil},
		"two beside our own":    {apps, "carillon", Projects{"carillon", map[string]string{"shop": "shop-prod", "kiosk": "shop-prod", "pharmacy": "pharmacy-prod"}}, []string{"pharmacy-prod", "shop-prod"}},
		"our own is listed":     {apps, "shop-prod", Projects{"shop-prod", map[string]string{"pharmacy": "pharmacy-prod"}}, []string{"pharmacy-prod"}},
		"every other app":       {AppProjects{"*": "shop-prod", "pharmacy": "pharmacy-prod"}, "carillon", Projects{"shop-prod", map[string]string{"pharmacy": "pharmacy-prod"}}, []string{"pharmacy-prod"}},
		"all in one, not ours":  {AppProjects{"*": "shop-prod"}, "carillon", Projects{Default: "shop-prod"}, nil},
		"every app is in there": {AppProjects{"shop": "shop-prod"}, "shop-prod", Projects{Default: "shop-prod"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.apps.ResolveProjects(c.own)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the projects (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.others, got.OtherProjects()); diff != "" {
				t.Errorf("the others (-want +got):\n%s", diff)
			}
			if got.HasSeveral() != (len(c.others) > 0) {
				t.Errorf("Several is %v with the others %v", got.HasSeveral(), c.others)
			}
		})
	}

	p := apps.ResolveProjects("carillon")
	for app, want := range map[string]string{"shop": "shop-prod", "pharmacy": "pharmacy-prod", "other": "", "": ""} {
		t.Run(app, func(t *testing.T) {

			if got := p.ProjectOf(app); got != want {
				t.Errorf("the project of app %q is %q, want %q", app, got, want)
			}
		})
	}

	if got := p.WithProject("", "x"); got != "project carillon: x" {
		t.Errorf("a text about the default project is %q, want its name in it", got)
	}
	if got := (Projects{Default: "carillon"}).WithProject("", "x"); got != "x" {
		t.Errorf("a text about the only project is %q, want it unchanged", got)
	}
}
