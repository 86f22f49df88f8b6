package customers

import (
	"cmp"
	"context"

	"carillon.example/shared/api"
)

// callerOf names the caller of a request: the source of the opt-outs and opt-ins that
// it reports. If the caller is unknown, as on a laptop, it is "api".
func callerOf(ctx context.Context) string { return cmp.Or(string(api.Caller(ctx)), "api") }
