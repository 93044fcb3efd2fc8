//go:build tools

// Package kube names the programs of Kubernetes that the tests build and run.
package kube

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
