// Package sample is test data, which is not uploaded.
package sample
