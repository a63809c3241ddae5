from opcheck.verification.mutation.score import main

main()
