package push

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// EveryOtherApp is the key of AppProjects for all apps that it does not list, and for
// tokens without an app.
const EveryOtherApp = "*"

// AppProjects says in which Firebase project each app is: its key is the app of a
// token. Apps that are not listed are in the project of EveryOtherApp, or in that of
// Carillon itself if there is none.
type AppProjects map[string]string

// projectIDPattern is the form of the id of a Google Cloud project. Old ones begin with a
// domain: example.com:shop.
var projectIDPattern = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

// UnmarshalText reads the setting FIREBASE_PROJECTS, as in
// shop=shop-prod,pharmacy=pharmacy-prod. An empty text is nil. The error names every
// fault.
func (p *AppProjects) UnmarshalText(text []byte) error {
	projects := AppProjects{}
	faults := parsePairs(string(text), func(app, project string) string {
		if why := CheckApp(app); why != "" {
			return "the name of the app " + why
		}
		if !projectIDPattern.MatchString(project) {
			return fmt.Sprintf("%q is not the id of a project", Truncate(project, 60))
		}
		if _, twice := projects[app]; twice {
			return "the app is given twice"
		}
		projects[app] = project
		return ""
	})
	if len(faults) > 0 {
		return fmt.Errorf("FIREBASE_PROJECTS: %s", strings.Join(faults, "; "))
	}
	if *p = nil; len(projects) > 0 {
		*p = projects
	}
	return nil
}

// ProjectQuotas has the FCM quota, in messages a minute, of projects that have another
// one than FCM_QUOTA_PER_MINUTE.
type ProjectQuotas map[string]int

// maxProjectQuota is the greatest quota of a project, in messages a minute.
const maxProjectQuota = 1_000_000_000

// UnmarshalText reads the setting FIREBASE_QUOTAS, as in pharmacy-prod=60000. An empty
// text is nil. The error names every fault.
func (q *ProjectQuotas) UnmarshalText(text []byte) error {
	quotas := ProjectQuotas{}
	faults := parsePairs(string(text), func(project, quota string) string {
		n, err := strconv.Atoi(quota)
		if err != nil || n < 1 || n > maxProjectQuota {
			return fmt.Sprintf("%q is not a number of messages from 1 to %d", Truncate(quota, 60), maxProjectQuota)
		}
		if _, twice := quotas[project]; twice {
			return "the project is given twice"
		}
		quotas[project] = n
		return ""
	})
	if len(faults) > 0 {
		return fmt.Errorf("FIREBASE_QUOTAS: %s", strings.Join(faults, "; "))
	}
	if *q = nil; len(quotas) > 0 {
		*q = quotas
	}
	return nil
}

// Check returns the fault of quotas for projects to which nothing is sent, nil if
// there is none.
func (q ProjectQuotas) Check(p Projects) error {
	var faults []error
	for _, project := range slices.Sorted(maps.Keys(q)) {
		if project != p.Default && !slices.Contains(p.OtherProjects(), project) {
			faults = append(faults, fmt.Errorf("FIREBASE_QUOTAS: no app is in the project %q", Truncate(project, 60)))
		}
	}
	return errors.Join(faults...)
}

// parsePairs calls take for each pair of a text like a=1,b=2, and returns the faults
// that take found, each with its pair.
func parsePairs(text string, take func(key, value string) (fault string)) (faults []string) {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case !ok || key == "":
			faults = append(faults, fmt.Sprintf("%q is not a pair like name=value", Truncate(pair, 60)))
		default:
			if why := take(key, value); why != "" {
				faults = append(faults, fmt.Sprintf("%s: %s", Truncate(key, 60), why))
			}
		}
	}
	return faults
}

// Projects are the Firebase projects that an instance sends to.
type Projects struct {
	Default string            // of every app that is not in ByApp
	ByApp   map[string]string // by app: its project, if that is not Default
}

// ResolveProjects returns the projects of the apps. own is the project of Carillon itself.
func (p AppProjects) ResolveProjects(own string) Projects {
	out := Projects{Default: cmp.Or(p[EveryOtherApp], own)}
	for app, project := range p {
		if app == EveryOtherApp || project == out.Default {
			continue
		}
		if out.ByApp == nil {
			out.ByApp = map[string]string{}
		}
		out.ByApp[app] = project
	}
	return out
}

// ProjectOf returns the project of an app, "" for the default project.
func (p Projects) ProjectOf(app string) string { return p.ByApp[app] }

// HasSeveral reports whether there is another project than the default one.
func (p Projects) HasSeveral() bool { return len(p.ByApp) > 0 }

// OtherProjects lists the projects other than the default one, sorted.
func (p Projects) OtherProjects() []string {
	return slices.Compact(slices.Sorted(maps.Values(p.ByApp)))
}

// WithProject adds to a text the project that it is about, if there are several. "" is the
// default project.
func (p Projects) WithProject(project, text string) string {
	if !p.HasSeveral() {
		return text
	}
	return "project " + cmp.Or(project, p.Default) + ": " + text
}
