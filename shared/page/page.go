// Package page has the files of the console's page. They are embedded and load nothing
// from other origins. Those in files/common are for other pages of Carillon as well: elements,
// requests to the functions, the sums of a mailing, and colours.
package page

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed files
var files embed.FS

// Handler serves the files of the page at /, those for every page at /common/.
func Handler() http.Handler {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		panic("page: " + err.Error()) // cannot happen: the folder is embedded above
	}
	return http.FileServerFS(sub)
}
