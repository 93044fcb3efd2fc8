//go:build tools

// Package pebble names the certificate authority that the tests build and run, and the name server that leads it here.
package pebble

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv"
)
