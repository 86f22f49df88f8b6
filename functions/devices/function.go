// Package devices is the Cloud function that apps call themselves, without a
// backend of the shop's in between: they register their own push token, and
// take it back. It is the only function that everybody on the internet can
// call, and is deployed only when asked for.
//
// Every call carries a Firebase Auth ID token, and the customer comes from it
// alone: a device speaks for its own customer and for nobody else, and whoever
// steals its token can read nothing, for nothing is answered but the push token
// that was sent in, by its id. How much all callers together can ask for is
// bounded by the number of instances that Terraform allows; one customer keeps
// at most MAX_TOKENS tokens, whatever is sent, and registers and takes over only
// so many an hour and a day.
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

// Handler serves the function; its clients are made at the first request, from
// the environment.
var Handler = cloud.Lazy(build)

func init() { functions.HTTP("devices", Handler) }

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

	// Of one customer's apps, in an hour and a day of UTC.
	RegistrationsPerHour int `env:"REGISTRATIONS_PER_HOUR" envDefault:"60"`
	RegistrationsPerDay  int `env:"REGISTRATIONS_PER_DAY" envDefault:"300"`
	MovesPerHour         int `env:"MOVES_PER_HOUR" envDefault:"5"`
	MovesPerDay          int `env:"MOVES_PER_DAY" envDefault:"10"`
}

// highestLimit is how high each of these limits may be.
const highestLimit = 1_000_000

// limits are those of each customer.
func (s *settings) limits() *push.Limits {
	return &push.Limits{PerHour: s.RegistrationsPerHour, PerDay: s.RegistrationsPerDay, MovesPerHour: s.MovesPerHour, MovesPerDay: s.MovesPerDay}
}

// own are claims that people set themselves: an e-mail address is in the token
// before anybody has confirmed it.
var own = []string{"name", "picture", "email"}

// Check finds what would let somebody speak for another customer, is no origin,
// or out of bounds.
func (s *settings) Check() []error {
	faults := append(cloud.Between("MAX_TOKENS", s.MaxTokens, 1, 100), cloud.Between("TOKEN_LIFE", s.TokenLife, 24*time.Hour, 10*365*24*time.Hour)...)
	faults = slices.Concat(faults,
		cloud.Between("REGISTRATIONS_PER_HOUR", s.RegistrationsPerHour, 1, highestLimit), cloud.Between("REGISTRATIONS_PER_DAY", s.RegistrationsPerDay, 1, highestLimit),
		cloud.Between("MOVES_PER_HOUR", s.MovesPerHour, 1, highestLimit), cloud.Between("MOVES_PER_DAY", s.MovesPerDay, 1, highestLimit))
	if s.CustomerClaim == "" || slices.Contains(own, s.CustomerClaim) {
		faults = append(faults, fmt.Errorf("CUSTOMER_CLAIM is %q: it has to be a claim that people cannot set themselves", s.CustomerClaim))
	}
	if !slices.Contains([]AppCheck{AppCheckOff, AppCheckLog, AppCheckEnforce}, s.AppCheck) {
		faults = append(faults, fmt.Errorf("APP_CHECK is %q, not off, log or enforce", s.AppCheck))
	}

	for _, o := range s.AllowedOrigins {
		if !origin(o) {
			faults = append(faults, fmt.Errorf("ALLOWED_ORIGINS has %q, which is no origin as in https://shop.example", o))
		}
	}
	return faults
}

// origin reports whether a browser would name a page's origin like that; pages
// without TLS may call from their developer's own machine alone.
func origin(s string) bool {
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
		AppCheck: set.AppCheck, Apps: auth.NewAppVerifier(set.Project), Limits: set.limits(),
	})), nil
}
