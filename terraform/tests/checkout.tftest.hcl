# The real upload: the layout that the buildpack expects, for every function of this checkout.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "archive" {
  source = "./tests/mocks"
}

variables {
  project_id = "shop-push"
  region     = "europe-west1"
}

run "layout" {
  assert {
    condition     = alltrue([for a in data.archive_file.source : alltrue([for f in ["function.go", "go.mod", "go.sum", "shared/push/push.go", "shared/cloud/settings.go"] : contains([for s in a.source : s.filename], f)])])
    error_message = "A function's upload lacks function.go, go.mod, go.sum or a part of shared/."
  }
  assert {
    condition     = alltrue([for a in data.archive_file.source : alltrue([for s in a.source : can(regex("^([a-z0-9_]+[.]go|go[.](mod|sum)|shared/[a-z0-9_/]+[.]go|shared/page/files/[A-Za-z0-9_./]+)$", s.filename)) && !endswith(s.filename, "_test.go")])])
    error_message = "A function's upload contains tests, or files other than Go files, the files of the page, go.mod and go.sum."
  }
  assert {
    condition     = alltrue([for n, a in data.archive_file.source : can(regex("functions[.]HTTP\\(\"${n}\"", join("", [for s in a.source : s.content if s.filename == "function.go"])))])
    error_message = "A function's function.go does not register the entry point that Terraform names."
  }
}
