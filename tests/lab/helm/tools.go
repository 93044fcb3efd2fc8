//go:build tools

// Package helm names the program that the tests build and run.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
