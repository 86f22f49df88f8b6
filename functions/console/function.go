// Package console is the Cloud function that shows people a page on which they see
// mailings and customers, and send. It serves the page and passes the page's requests on
// to mailings and customers. The files of the page are in shared/page.
package console

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	"golang.org/x/oauth2"
	"google.golang.org/api/idtoken"

	"carillon.example/shared/cloud"
)

// Handler serves the function. Its clients are made from the environment at the first
// request.
var Handler = cloud.Lazy(build)

func init() {
	cloud.ExitIfMisconfigured[settings]()
	functions.HTTP("console", Handler)
}

// How the console finds out who a person is.
const (
	identityIAP    = "iap"    // the signed header of Identity-Aware Proxy
	identityProxy  = "proxy"  // the ID token that gcloud run services proxy sends, which Cloud Run verifies
	identityLaptop = "laptop" // nobody is asked; not on Cloud Run
)

// LaptopPerson is who everybody is on a laptop, and LaptopAccount is the account of the
// console there.
const (
	LaptopPerson  = "you@laptop"
	LaptopAccount = "console@laptop"
)

// settings is the function's environment.
type settings struct {
	cloud.Common
	Identity     string   `env:"CONSOLE_IDENTITY" envDefault:"iap"`
	Audience     string   `env:"IAP_AUDIENCE"`
	Look         []string `env:"CONSOLE_LOOK"`
	Send         []string `env:"CONSOLE_SEND"`
	MailingsURL  string   `env:"MAILINGS_URL,required,notEmpty"`
	CustomersURL string   `env:"CUSTOMERS_URL,required,notEmpty"`
}

// Check returns every fault of the settings. On Cloud Run the identity laptop is a fault:
// there it would let in everybody.
func (s *settings) Check() []error {
	faults := append(checkList("CONSOLE_LOOK", s.Look), checkList("CONSOLE_SEND", s.Send)...)
	switch s.Identity {
	case identityIAP:
		if s.Audience == "" {
			faults = append(faults, fmt.Errorf("IAP_AUDIENCE is empty; Identity-Aware Proxy signs for an audience like /projects/NUMBER/locations/REGION/services/NAME"))
		}
	case identityProxy:
	case identityLaptop:
		if os.Getenv(cloud.ServiceName) != "" {
			faults = append(faults, fmt.Errorf("CONSOLE_IDENTITY is laptop, which lets in everybody; on Cloud Run it must be iap or proxy"))
		}
	default:
		faults = append(faults, fmt.Errorf("CONSOLE_IDENTITY is %q, not iap, proxy or laptop", s.Identity))
	}

	for name, text := range map[string]string{"MAILINGS_URL": s.MailingsURL, "CUSTOMERS_URL": s.CustomersURL} {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && s.Identity != identityLaptop {
			faults = append(faults, fmt.Errorf("%s is %q, not the https address of a function", name, text))
		}
	}
	return faults
}

// identity returns what finds out who a person is.
func (s *settings) identity(ctx context.Context) (identifier, error) {
	switch s.Identity {
	case identityIAP:
		return NewIAP(ctx, s.Audience, nil)
	case identityProxy:
		return Invoker{}, nil
	}
	return Fixed(LaptopPerson), nil
}

// service returns the function at an address.
func (s *settings) service(ctx context.Context, address string) (Service, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Service{}, fmt.Errorf("the address of a function: %w", err)
	}
	if s.Identity == identityLaptop {
		return Service{URL: u, Tokens: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: unsigned(LaptopAccount)})}, nil
	}
	tokens, err := idtoken.NewTokenSource(ctx, address)
	if err != nil {
		return Service{}, fmt.Errorf("ID tokens for %s: %w", u.Host, err)
	}
	return Service{URL: u, Tokens: tokens}, nil
}

// unsigned returns an ID token without a signature. On a laptop nobody verifies it.
func unsigned(account string) string {
	claims, _ := json.Marshal(map[string]any{"email": account, "email_verified": true}) // two plain values
	return "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".none"
}

func build(ctx context.Context) (http.Handler, error) {
	set, log, err := cloud.OpenLog[settings](ctx)
	if err != nil {
		return nil, err
	}
	who, err := set.identity(ctx)
	if err != nil {
		return nil, err
	}

	d := Deps{Identity: who, Roles: Roles{set.Look, set.Send}, Project: set.Project, Log: log}
	if d.Mailings, err = set.service(ctx, set.MailingsURL); err != nil {
		return nil, err
	}
	if d.Customers, err = set.service(ctx, set.CustomersURL); err != nil {
		return nil, err
	}
	return cloud.Traced(New(d)), nil
}
