package customers

import (
	"cmp"
	"context"

	"carillon.example/shared/api"
)

// callerOf names who makes a request: the source of the opt-outs and opt-ins it
// reports. Where nothing says who that is, as on a laptop, it is "api".
func callerOf(ctx context.Context) string { return cmp.Or(string(api.Caller(ctx)), "api") }
