// Package devices is the Cloud function that apps call themselves, without a backend of
// the retailer in between: they register their own push token, and remove it. It is the
// only function that everybody on the internet can call, and is deployed only if it is
// enabled.
//
// Every call has a Firebase Auth ID token, which alone says which customer calls. A
// device can change its own customer only. With a stolen ID token nobody can read
// anything: the answer has only the id of the push token that was sent. All callers
// together are limited by the number of instances, which Terraform sets; one customer has
// at most MAX_TOKENS tokens, and may register and move only so many an hour and a day.
package devices

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"carillon.example/shared/auth"
	"carillon.example/shared/cloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Handler serves the function. Its clients are made from the environment at the first
// request.
var Handler = cloud.Lazy(build)

func init() {
	cloud.ExitIfMisconfigured[settings]()
	functions.HTTP("devices", Handler)
}

// settings is the function's environment.
type settings struct {
	cloud.Common
	EventsTopic    string        `env:"EVENTS_TOPIC" envDefault:"push-events"`
	MaxTokens      int           `env:"MAX_TOKENS" envDefault:"20"`
	TokenLife      time.Duration `env:"TOKEN_LIFE" envDefault:"6480h"`
	CustomerClaim  string        `env:"CUSTOMER_CLAIM" envDefault:"uid"`
	AuthTenant     string        `env:"AUTH_TENANT"`
	CheckRevoked   bool          `env:"CHECK_REVOKED" envDefault:"false"`
	AllowedOrigins []string      `env:"ALLOWED_ORIGINS"`
	AppCheck       AppCheck      `env:"APP_CHECK" envDefault:"off"`

	// Limits of the apps of one customer, in an hour and a day of UTC.
	RegistrationsPerHour int `env:"REGISTRATIONS_PER_HOUR" envDefault:"60"`
	RegistrationsPerDay  int `env:"REGISTRATIONS_PER_DAY" envDefault:"300"`
	MovesPerHour         int `env:"MOVES_PER_HOUR" envDefault:"5"`
	MovesPerDay          int `env:"MOVES_PER_DAY" envDefault:"10"`
	// EventsPerHour is counted by each instance.
	EventsPerHour int `env:"EVENTS_PER_HOUR" envDefault:"600"`
}

// highestLimit is the maximum of each of these limits.
const highestLimit = 1_000_000

// customerLimits returns the limits of each customer.
func (s *settings) customerLimits() *push.Limits {
	return &push.Limits{PerHour: s.RegistrationsPerHour, PerDay: s.RegistrationsPerDay, MovesPerHour: s.MovesPerHour, MovesPerDay: s.MovesPerDay}
}

// selfAsserted are claims that users set themselves: an e-mail address is in the
// token before it is confirmed.
var selfAsserted = []string{"name", "picture", "email"}

// Check returns every fault of the settings: what would let a user speak for another
// customer, wrong origins, values out of range.
func (s *settings) Check() []error {
	faults := append(cloud.Between("MAX_TOKENS", s.MaxTokens, 1, 100), cloud.Between("TOKEN_LIFE", s.TokenLife, 24*time.Hour, 10*365*24*time.Hour)...)
	faults = slices.Concat(faults,
		cloud.Between("REGISTRATIONS_PER_HOUR", s.RegistrationsPerHour, 1, highestLimit), cloud.Between("REGISTRATIONS_PER_DAY", s.RegistrationsPerDay, 1, highestLimit),
		cloud.Between("MOVES_PER_HOUR", s.MovesPerHour, 1, highestLimit), cloud.Between("MOVES_PER_DAY", s.MovesPerDay, 1, highestLimit),
		cloud.Between("EVENTS_PER_HOUR", s.EventsPerHour, push.MaxReports, highestLimit))
	if s.CustomerClaim == "" || slices.Contains(selfAsserted, s.CustomerClaim) {
		faults = append(faults, fmt.Errorf("CUSTOMER_CLAIM is %q: it has to be a claim that people cannot set themselves", s.CustomerClaim))
	}
	if !slices.Contains([]AppCheck{AppCheckOff, AppCheckLog, AppCheckEnforce}, s.AppCheck) {
		faults = append(faults, fmt.Errorf("APP_CHECK is %q, not off, log or enforce", s.AppCheck))
	}

	for _, o := range s.AllowedOrigins {
		if !isOrigin(o) {
			faults = append(faults, fmt.Errorf("ALLOWED_ORIGINS has %q, which is not an origin as in https://shop.example", o))
		}
	}

	return faults
}

// isOrigin reports whether a browser would send an origin in this form. Pages without
// TLS may call only from the machine of their developer.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && s == u.Scheme+"://"+u.Host && !strings.Contains(s, "*") &&
		(u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost")
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}

	v, err := auth.New(ctx, set.Project, auth.Options{CheckRevoked: set.CheckRevoked, Getenv: os.Getenv})
	if err != nil {
		return nil, c.Fail(err)
	}
	return cloud.Traced(New(Deps{
		Store: store.New(c.Firestore, store.Options{MaxTokens: set.MaxTokens, TokenLife: set.TokenLife}),
		Queue: queue.New(c.PubSub, queue.Topics{Events: set.EventsTopic}),
		Auth:  v, Claim: set.CustomerClaim, Tenant: set.AuthTenant, Origins: set.AllowedOrigins, Log: c.Log, Timeout: set.CallTimeout,
		AppCheck: set.AppCheck, Apps: auth.NewAppVerifier(set.Project), Limits: set.customerLimits(), EventsPerHour: set.EventsPerHour,
	})), nil
}
