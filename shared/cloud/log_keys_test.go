package cloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lineKeys are the keys that the handler itself writes into each line. If an attribute has one
// of these names, the line has the key twice, and most readers of JSON keep only the last.
var lineKeys = []string{"time", "level", "severity", "msg", "message"}

// TestNoAttributeHasAKeyOfTheLine reads the log calls of all functions.
func TestNoAttributeHasAKeyOfTheLine(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, root := range []string{"../../functions", "../../shared"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if path == filepath.FromSlash("../../shared/cloud/log.go") { // writes these keys
				return nil
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				keys := attributeKeys(call)
				calls += min(len(keys), 1)
				for _, key := range keys {
					if slices.Contains(lineKeys, key) {
						t.Errorf("%s: the attribute %q has the name of a key of the line", files.Position(call.Pos()), key)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatalf("reading the files of %s: %v", root, err)
		}
	}
	if calls < 50 {
		t.Errorf("%d calls with attributes were found, want at least 50: the test no longer recognizes them", calls)
	}
}

// attributeKeys returns the keys of the attributes of a log call: of a method of a logger, or
// of a function of slog that makes one attribute. It returns nil for other calls.
func attributeKeys(call *ast.CallExpr) (keys []string) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	if pkg, ok := f.X.(*ast.Ident); ok && pkg.Name == "slog" && len(call.Args) == 2 && !strings.HasSuffix(f.Sel.Name, "Context") {
		return textsOf(call.Args[:1])
	}

	begin := map[string]int{"With": 0, "Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2}
	first, ok := begin[f.Sel.Name]
	if !ok {
		return nil
	}
	for i := first; i < len(call.Args); i++ {
		if text := textsOf(call.Args[i : i+1]); text != nil {
			keys = append(keys, text...)
			i++ // its value
		}
	}
	return keys
}

// textsOf returns the values of those expressions that are literals of a text.
func textsOf(exprs []ast.Expr) (texts []string) {
	for _, e := range exprs {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				texts = append(texts, text)
			}
		}
	}
	return texts
}
