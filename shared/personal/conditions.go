package personal

import (
	"io"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/render"
)

// A branch is one part of an if or unless. It is rendered if its condition has the wanted
// value.
type branch struct {
	when expressions.Expression // nil: else
	want bool
	body *render.BlockNode
}

func (b branch) isTaken(ctx render.Context) (bool, error) {
	if b.when == nil {
		return true, nil
	}
	v, err := ctx.Evaluate(b.when)
	return (v != nil && v != false) == b.want, err
}

// conditionalTag returns the tag if (want is true) or unless (want is false). The tags of
// the library itself are not used, because it adds them only together with loops and
// includes.
func conditionalTag(want bool) render.BlockCompiler {
	return func(n render.BlockNode) (func(io.Writer, render.Context) error, error) {
		when, err := expressions.Parse(n.Args)
		if err != nil {
			return nil, err
		}

		branches := []branch{{when, want, &n}}
		for _, clause := range n.Clauses {
			b := branch{want: true, body: clause}
			if clause.Name == "elsif" {
				if b.when, err = expressions.Parse(clause.Args); err != nil {
					return nil, err
				}
			}
			branches = append(branches, b)
		}

		return func(w io.Writer, ctx render.Context) error { return renderFirst(w, ctx, branches) }, nil
	}
}

// renderFirst renders the first branch whose condition has its wanted value, if any.
func renderFirst(w io.Writer, ctx render.Context, branches []branch) error {
	for _, b := range branches {
		taken, err := b.isTaken(ctx)
		if err != nil {
			return err
		}
		if taken {
			return ctx.RenderBlock(w, b.body)
		}
	}
	return nil
}
