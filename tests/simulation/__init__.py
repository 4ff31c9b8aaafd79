"""The production engine on simulated AWS: seeded, repeatable, with faults at every request.

expressions, dynamodb                  DynamoDB's conditions, transactions and stale indexes
aws                                    S3 and SQS
faults, outages                        kinds of faults, and the transport that injects them
scheduler                              processes in virtual time: killed, paused, with skewed clocks
scenario                               random agents, drawn from a seed
users                                  users who start, answer, cancel and deploy
operators                              operators who act on alarms; the causes of parks
refusals                               the reasons for refused inputs
external_services                      models, e-mail and tools
ground_truth                           the real effects, whatever is stored
functions                              the deployed functions and their queues
world                                  all that of one seed
checks, request_checks, wait_checks    the promises, checked from outside
interruptions                          mechanisms that `test_ablations` switches off
"""
